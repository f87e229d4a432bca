# SPDX-License-Identifier: GPL-2.0
"""Events that are made at run time: they come, go, and stay while somebody needs them."""
import errno
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import kmod
from kmod import equal, match
from listening import (ALL, LEAKS_ARE_SEEN, LINE, Loops, TRACING, are_enabled, armed,
                       instance, kprobes_at, listen_by_perf, loaded, perf_record, put,
                       refused, run, tool, until)


MADE = Path("/sys/module/events_made/parameters")
EVERY = ("small:u1 word:u2 minus:s4 hex:x8 at:pointer where:symbol task:comm text:str16 "
         "more:str7 last:s8")
EVERY_FIELDS = """\
unsigned char small;	offset:8;	size:1;	signed:0;
unsigned short word;	offset:10;	size:2;	signed:0;
int minus;	offset:12;	size:4;	signed:1;
unsigned long long hex;	offset:16;	size:8;	signed:0;
void * at;	offset:24;	size:8;	signed:0;
void * where;	offset:32;	size:8;	signed:0;
char task[16];	offset:40;	size:16;	signed:0;
__data_loc char[] text;	offset:56;	size:4;	signed:0;
__data_loc char[] more;	offset:60;	size:4;	signed:0;
long long last;	offset:64;	size:8;	signed:1;
"""
EVERY_LINE = (r"every: small=253 word=0 minus=-3 hex=0xfffffffffffffffd at=\S+ where=\S+ "
              r"task=python3 text={} more= last=-3")
MINUS_3 = 2 ** 64 - 3


def do(words):
    put(MADE / "do", words)


def call_made(value, count=1, text="Hallo"):
    put(MADE / "call", f"{value} {count} {text}")


def with_made(test):
    """Also checks that the setters of a record refused what was wrong."""
    def wrapped():
        with loaded("events_made"):
            told = test()
            with kmod.log("events_made") as log:
                kmod.rmmod("events_made")
                equal(log.lines(), ["0 wrong"])
            return told

    wrapped.__name__ = test.__name__
    return wrapped


@with_made
def test_made_at_run_time():
    equal(armed("events_made_target"), [])
    do(f"make every {EVERY}")
    text = (ALL["every"] / "format").read_text()
    _, fields, rest = text.split("\n\n", 2)
    equal(fields + "\n", "".join(f"\tfield:{line}\n" for line in EVERY_FIELDS.splitlines()))
    equal(rest, 'print fmt: "small=%u word=%u minus=%d hex=0x%llx at=%p where=%pS task=%s text=%s more=%s '
          'last=%lld", REC->small, REC->word, REC->minus, REC->hex, REC->at, (void *)REC->where, REC->task, '
          '__get_str(text), __get_str(more), REC->last\n')
    number = int((ALL["every"] / "id").read_text())
    equal(f"ID: {number}\n" in text, True)
    equal(armed("events_made_target"), [False])
    call_made(1)
    with ALL.listening("every"):
        equal(armed("events_made_target"), [True])
        call_made(MINUS_3)
        call_made(MINUS_3, text="0123456789abcdefgh")
        lines = ALL.lines()
    equal(armed("events_made_target"), [False])
    for line, shown in zip(lines, ("Hallo", "0123456789abcdef")):
        match(line, EVERY_LINE.format(shown))
    equal(len(lines), 2)


@with_made
def test_made_is_filtered_and_counted():
    do(f"make every {EVERY}")
    event = ALL["every"]
    for text in ('text ~ "*nee*"', 'text == "needle"', "minus == -8", 'task == "python3" && last < -7',
                 'more == "" && small == 248', 'word == 0 && hex == 0xfffffffffffffff8'):
        put(event / "filter", text)
        with ALL.listening("every"):
            call_made(1 if "text" in text else 2, text="hay")
            call_made(2 ** 64 - 8, text="needle")
            equal([re.search(r"text=(\w+)", line)[1] for line in ALL.lines()], ["needle"], text)
    put(event / "filter", "0")
    with instance("pipe") as pipe:
        pipe.set("every")
        fd = os.open(pipe.folder / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        call_made(MINUS_3)
        match(match(os.read(fd, 4096).decode().rstrip("\n"), LINE)[3], EVERY_LINE.format("Hallo"))
        os.close(fd)
    if (event / "hist").exists():
        put(event / "trigger", "hist:keys=text:vals=small")
        for text in ("one", "two", "two"):
            call_made(7, text=text)
        found = re.findall(r"text: (\w+).*hitcount: +(\d+) +small: +(\d+)", (event / "hist").read_text())
        equal(sorted(found), [("one", "1", "7"), ("two", "2", "14")])
        put(event / "trigger", "!hist:keys=text:vals=small")


@with_made
def test_made_is_recorded_by_perf():
    tool("perf")
    do(f"make every {EVERY}")
    do("make other n:u8")
    script = (f"open('/proc/self/comm', 'w').write('python3')\n"
              f"open('{MADE}/call', 'w').write('{MINUS_3} 1 Hallo')\n")
    with tempfile.TemporaryDirectory() as directory:
        data = perf_record(directory, "every", "other", script=script)
        do("drop other")
        out = run("perf", "script", "-F", "event,trace", "-i", data).stdout
    for part in ("small=253", "word=0", "minus=-3", "task=python3", "text=Hallo", "more=", "last=-3",
                 f"events_test:other: n={MINUS_3}"):
        if not re.search(rf" *{part}( |$)", out, re.M):
            raise AssertionError(f"no {part} in {out}")
    equal(armed("events_made_target"), [False])


@with_made
def test_made_refuses():
    do("make one n:u8")
    for number, words in (
            (errno.EEXIST, "one n:u8"), (errno.EEXIST, "one m:u4"),
            (errno.EINVAL, "a-b n:u8"), (errno.EINVAL, "1b n:u8"), (errno.EINVAL, "x" * 64 + " n:u8"),
            (errno.EINVAL, "enable n:u8"), (errno.EINVAL, "kprobes_at_run_time n:u8"), (errno.EINVAL, "two"), (errno.EINVAL, "two n:u3"),
            (errno.EINVAL, "two n:u8 n:u4"), (errno.EINVAL, "two common_pid:u8"), (errno.EINVAL, "two int:u8"),
            (errno.EINVAL, "two while:u8"), (errno.EINVAL, "two " + "x" * 32 + ":u8"),
            (errno.EINVAL, "two " + " ".join(f"f{n}:u1" for n in range(17))),
            (errno.EINVAL, "two a:str500"), (errno.EINVAL, "two a:str65535 b:str65535")):
        refused(number, do, "make " + words)
    long = [f"{'x' * 28}_{n:02}" for n in range(16)]
    for ty in ("symbol", "str22"):
        do("make most " + " ".join(f"{name}:{ty}" for name in long))
        with ALL.listening("most"):
            call_made(1, text="y" * 30)
            line = ALL.lines()[0]
        equal(len(re.findall(r"x{28}_\d\d=(\S+)", line)), 16, line)
        if ty != "symbol":
            equal(line.count("y" * 22), 16)
            equal(line.count("y" * 23), 0)
        if "__get_str" not in (ALL["most"] / "format").read_text() and ty != "symbol":
            raise AssertionError
        do("drop most")
    do("make largest a:str499")
    with ALL.listening("largest"):
        call_made(1, text="z" * 300)
        equal(ALL.lines(), ["largest: a=" + "z" * 300])
    with loaded():
        refused(errno.EEXIST, do, "make number n:u8")
    do("make number n:u8")
    do("drop number")


@with_made
def test_made_needs_an_event_that_is_in_nobodys_way():
    folder = TRACING / "events/events_made/kprobes_at_run_time"
    equal([(folder / name).exists() for name in ("enable", "filter", "trigger")], [False] * 3)
    put(TRACING / "events/enable", "0")
    refused(errno.EINVAL, put, TRACING / "set_event", "events_made:kprobes_at_run_time")
    do("make one n:u8")
    with loaded():
        equal((TRACING / "events/events").exists(), False)


def gone(event):
    return not ALL[event].exists()


@with_made
def test_made_stays_while_somebody_listens():
    do("make one n:u8")
    with instance("steady") as steady:
        steady.set("one")
        call_made(1)
        do("drop one")
        equal(armed("events_made_target"), [])
        equal(gone("one"), False)
        refused(errno.ENODEV, ALL.set, "one")
        refused(errno.EEXIST, do, "make one n:u4")
        call_made(2)
        # Who listened still does.
        do("make one n:u8")
        equal(armed("events_made_target"), [True])
        call_made(3)
        equal(steady.lines(), ["one: n=1", "one: n=3"])
        do("drop one")
        steady.set("one", False)
        do("make two n:u8")
        equal(gone("one"), True)
        # The records are still its own.
        equal(steady.lines(), ["one: n=1", "one: n=3"])
    do("drop two")
    equal(gone("two"), True)
    do("make one n:u4")
    put(ALL["one"] / "trigger", "stacktrace")
    do("drop one")
    equal(gone("one"), False)
    put(ALL["one"] / "trigger", "!stacktrace")
    do("make one n:u8")
    names = ("enable", "format", "filter", "trigger", "id")
    files = [os.open(ALL["one"] / name, os.O_RDONLY) for name in names]
    do("drop one")
    equal(gone("one"), True)
    for fd, name in zip(files, names):
        try:
            os.read(fd, 4096)
        except OSError as error:
            equal(errno.errorcode[error.errno], "ENODEV", name)
        else:
            equal(name, "id")
        os.close(fd)


@with_made
def test_made_takes_a_trigger_while_it_stays():
    """The kernel cannot take one back: it would free the file without a word to us."""
    do("make one n:u8")
    with instance("steady") as steady:
        steady.set("one")
        do("drop one")
        with instance("left") as left:
            put(left["one"] / "trigger", "stacktrace if n == 99")
            do("make one n:u8")
            left.set("one")
            call_made(1)
            equal(left.lines(), ["one: n=1"])
        call_made(2)
        equal(steady.lines(), ["one: n=1", "one: n=2"])
        steady.set("one", False)
        equal(armed("events_made_target"), [False])


@with_made
def test_made_is_printed_by_fields_while_it_is_there():
    option = TRACING / "options/fields"
    do("make one n:u8")
    with ALL.listening("one"):
        call_made(7)
    put(option, "1")
    try:
        match(ALL.lines()[0], r"one: n=0x7 \(7\)")
        do("drop one")
        equal(gone("one"), True)
        match(ALL.lines()[0], "one: *No fields found")
    finally:
        put(option, "0")
    equal(ALL.lines(), ["one: n=7"])


def test_nobody_gets_the_number_of_records_that_are_left():
    synthetic = TRACING / "synthetic_events"
    if not synthetic.exists():
        raise kmod.Skip("no synthetic events")

    def command(text):
        # put() would truncate it, which removes all of them.
        fd = os.open(synthetic, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, f"{text}\n".encode())
        finally:
            os.close(fd)

    with instance("left") as left:
        with loaded("events_made"):
            do("make one n:u8 text:str16")
            left.set("one")
            call_made(1)
            left.set("one", False)
            do("drop one")
            equal(gone("one"), True)
            # An event that cannot be removed has the kernel forget which buffers to empty.
            command("events_busy u64 n")
            put(TRACING / "events/synthetic/events_busy/enable", "1")
            refused(errno.EBUSY, command, "!events_busy")
            kmod.rmmod("events_made")
        put(TRACING / "events/synthetic/events_busy/enable", "0")
        command("!events_busy")
        with loaded():
            text = (left.folder / "trace").read_text()
            lines = [line for line in text.splitlines() if not line.startswith("#")]
            equal([bool(re.search(r"Unknown type \d+", line)) for line in lines], [True])


@with_made
def test_made_stays_while_it_is_known():
    dynamic = TRACING / "dynamic_events"
    do("make one n:u8")
    try:
        fd = os.open(dynamic, os.O_WRONLY | os.O_APPEND)
        os.write(fd, b"e:try/of_one events_test.one n=$n")
    except OSError as error:
        raise kmod.Skip(f"no event probes: {error}") from error
    do("drop one")
    equal(gone("one"), False)
    refused(errno.EAGAIN, kmod.rmmod, "events_made")
    os.write(fd, b"-:try/of_one")
    os.close(fd)
    do("make two n:u8")
    equal(gone("one"), True)


@with_made
def test_made_stays_while_perf_listens():
    tool("perf")
    do("make one n:u8")
    with subprocess.Popen(["perf", "stat", "-a", "-e", "events_test:one", "sleep", "30"],
                          stderr=subprocess.DEVNULL) as perf:
        try:
            until(lambda: are_enabled(kprobes_at("events_made_target")) == [True])
            do("drop one")
            equal((gone("one"), armed("events_made_target")), (False, []))
            refused(errno.EAGAIN, kmod.rmmod, "events_made")
        finally:
            perf.send_signal(signal.SIGINT)
    do("make two n:u8")
    equal(gone("one"), True)


def test_rmmod_with_made_events():
    """There, forgotten, and left because somebody listens."""
    with loaded("events_made"), instance("left") as left:
        for name in ("one", "two", "three", "four"):
            do(f"make {name} n:u8")
            left.set(name)
        left.set("four", False)
        do("drop two")
        # A probe that is forgotten is a leak.
        forgotten = [] if LEAKS_ARE_SEEN.exists() else ["four", "three"]
        for name in ("three", "four"):
            do(f"{'forget' if name in forgotten else 'drop'} {name}")
        if not LEAKS_ARE_SEEN.exists():
            put(left["one"] / "trigger", "stacktrace")
        call_made(1, 10)
        files = [os.open(left[name] / "format", os.O_RDONLY) for name in ("one", "two", "three")]
        with kmod.log("events_made") as log:
            kmod.rmmod("events_made")
            lines = log.lines()
        for fd in files:
            refused(errno.ENODEV, os.read, fd, 4096)
            os.close(fd)
        equal(lines[0], "0 wrong")
        equal(len([line for line in lines if line.startswith("left registered: 1 at events_made_target")
                   or re.match(r"left registered: 1 at [0-9a-f]+; ", line)]), len(forgotten), lines)
        equal(sorted(line for line in lines if "the event" in line),
              [f"left: the event events_test:{name}; removed now" for name in forgotten])
        equal([gone(name) for name in ("one", "two", "three", "four")], [True] * 4)
        equal(left.lines(), [])


def test_rounds_while_events_come_and_go():
    """500 times, if there is time, and listeners, readers and calls all the time."""
    # At random: an event that always has a listener stays.
    loops = Loops(pause=lambda: random.random() / 10)
    stayed = made = 0
    end = time.monotonic() + 90
    with instance("rounds") as other, loaded("events_made"):
        one = ALL["one"]
        loops.add("enable", lambda: ALL.set("one"), lambda: ALL.set("one", False))
        loops.add("instance", lambda: other.set("one"), lambda: other.set("one", False))
        loops.add("trigger", lambda: put(one / "trigger", "stacktrace if n == 1"),
                  lambda: put(one / "trigger", "!stacktrace if n == 1"))
        if shutil.which("perf"):
            loops.add("perf", lambda: listen_by_perf("one"))
        loops.add("call", lambda: call_made(1, 100))
        loops.add("read", lambda: (other.folder / "trace").read_bytes(), (one / "format").read_text)
        with loops:
            while made < 500 and time.monotonic() < end:
                try:
                    do(f"make one n:u8 m:u{(1, 2, 4, 8)[made // 8 % 4]}")
                except FileExistsError:  # somebody listens to the last one
                    stayed += 1
                    time.sleep(0.001)
                    continue
                time.sleep(0.01 * (made % 4))
                do("drop one")
                made += 1
    if made < 30:
        raise AssertionError((made, loops.rounds))
    return f"{made} made, {stayed} times in use, {loops.told()}"
