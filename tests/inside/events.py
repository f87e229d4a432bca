#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Trace events of tests/events, as tracefs, perf, trace-cmd and bpftrace have them.
Prints KTAP.

usage: events.py [WORD...]	(only tests whose name has one of the words)
"""
import errno
import os
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import kmod
from kmod import equal, match

FOLDER = Path(__file__).resolve().parent.parent / "events"
TRACING = Path("/sys/kernel/tracing")
CALL = Path("/sys/module/events/parameters/call")
LINE = r"\s*(.+)-(\d+)\s+\[\d+\] \S+ +\d+\.\d+: (.*)"


class Instance:
    """An instance of tracefs, or the first one."""

    def __init__(self, folder=TRACING):
        self.folder = folder

    def __getitem__(self, event):
        """The folder of an event."""
        return self.folder / "events/events_test" / event

    def set(self, event, on=True):
        put(self[event] / "enable", "1" if on else "0")

    def clear(self):
        put(self.folder / "trace", "")

    def lines(self):
        """What was printed, without the time and the CPU."""
        text = (self.folder / "trace").read_bytes().decode("ascii").splitlines()
        return [match(line, LINE)[3] for line in text if not line.startswith("#")]

    @contextmanager
    def listening(self, *events):
        self.clear()
        for event in events:
            self.set(event)
        try:
            yield self
        finally:
            for event in events:
                self.set(event, False)


ALL = Instance()


def put(path, text):
    """Writes it with one write(), whose error raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(fd, text.encode("latin1"))
    finally:
        os.close(fd)


def call(words):
    put(CALL, words)


@contextmanager
def instance(name):
    folder = TRACING / "instances" / name
    folder.mkdir()
    try:
        yield Instance(folder)
    finally:
        if folder.exists():
            folder.rmdir()


@contextmanager
def loaded(name="events"):
    kmod.insmod(FOLDER / f"{name}.ko")
    try:
        yield
    finally:
        if kmod.is_loaded(name):
            kmod.rmmod(name)


def with_module(test):
    def wrapped():
        with loaded():
            return test()

    wrapped.__name__ = test.__name__
    return wrapped


def refused(number, function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        equal(errno.errorcode[error.errno], errno.errorcode[number])
    else:
        raise AssertionError("it was not refused")


def kprobes_at(function):
    return [line for line in kmod.kprobe_list() if f" {function}+0x0 " in line]


def are_enabled(lines):
    return ["[DISABLED]" not in line for line in lines]


def armed(function):
    """Whether each kprobe there is armed, as kprobes/list and ftrace say."""
    lines = kprobes_at(function)
    states = are_enabled(lines)
    enabled = TRACING / "enabled_functions"
    # arm64 has breakpoints.
    if any("[FTRACE]" in line for line in lines) and enabled.exists():
        there = any(line.split()[0] == function for line in enabled.read_text().splitlines())
        equal(there, any(states), "enabled_functions")
    return states


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="surrogateescape", **options)


def tool(name):
    if not shutil.which(name):
        raise kmod.Skip(f"{name} is not installed")


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it took too long")
        time.sleep(0.05)


FIELDS = """\
unsigned char small;	offset:8;	size:1;	signed:0;
long long negative;	offset:16;	size:8;	signed:1;
unsigned char truth;	offset:24;	size:1;	signed:0;
unsigned short word;	offset:26;	size:2;	signed:0;
unsigned int hex;	offset:28;	size:4;	signed:0;
unsigned short list[3];	offset:32;	size:6;	signed:0;
signed char bytes[2];	offset:38;	size:2;	signed:1;
char task[16];	offset:40;	size:16;	signed:0;
void * at;	offset:56;	size:8;	signed:0;
void * function;	offset:64;	size:8;	signed:0;
short minus;	offset:72;	size:2;	signed:1;
__data_loc char[] text;	offset:76;	size:4;	signed:0;
int result;	offset:80;	size:4;	signed:1;
__data_loc char[] more;	offset:84;	size:4;	signed:0;
unsigned char last;	offset:88;	size:1;	signed:0;
"""


@with_module
def test_format_says_where_the_fields_are():
    text = (ALL["everything"] / "format").read_text()
    common, fields, rest = text.split("\n\n", 2)
    equal(common.splitlines()[0], "name: everything")
    equal(fields + "\n", "".join(f"\tfield:{line}\n" for line in FIELDS.splitlines()))
    equal(rest, 'print fmt: "small=%u negative=%lld truth=%u word=%u hex=0x%x list=%s bytes=%s task=%s '
          'at=%p function=%pS minus=%hd text=%s result=%d more=%s last=%u", REC->small, REC->negative, '
          'REC->truth, REC->word, REC->hex, __print_array(REC->list, 3, 2), '
          '__print_array(REC->bytes, 2, 1), REC->task, REC->at, (void *)REC->function, REC->minus, '
          '__get_str(text), REC->result, __get_str(more), REC->last\n')
    text = (ALL["line"] / "format").read_text()
    equal(text.splitlines()[-1], 'print fmt: "100%% \\"%d\\" is {%d}", REC->n, REC->result')
    number = int((ALL["number"] / "id").read_text())
    if f"ID: {number}\n" not in (ALL["number"] / "format").read_text():
        raise AssertionError(number)


@with_module
def test_the_first_listener_arms_and_the_last_disarms():
    for event, function, probes in (("number", "events_number", 1), ("everything", "events_text", 2)):
        equal(armed(function), [False] * probes, f"{event} before")
        ALL.set(event)
        equal(sum(armed(function)), 1, f"{event} enabled")
        with instance("armed") as other:
            other.set(event)
            ALL.set(event, False)
            equal(sum(armed(function)), 1, f"{event} in an instance")
        # That was removed while it had the event enabled.
        equal(armed(function), [False] * probes, f"{event} afterwards")


def traced():
    """Which functions of the module's are in enabled_functions."""
    return sorted(re.findall(r"^events_\w+", (TRACING / "enabled_functions").read_text(), re.M))


@with_module
def test_entry_probes_are_armed_by_listeners():
    both = ["events_entered", "events_entered_too"]
    equal(traced(), [])
    call("entered 1 1")
    with ALL.listening("entered"):
        equal(traced(), both[:1])
        call("entered 2 1")
        with instance("armed") as other:
            other.set("both")
            equal(traced(), both)
            call("entered 3 1")
            # One goes, while the other is at the same function.
            ALL.set("entered", False)
            equal(traced(), both)
            call("entered 4 1")
            equal(other.lines(), [f"both: value={n} index={i}" for n in (3, 4) for i in (0, 1)])
        # That was removed while it had the event enabled.
        equal(traced(), [])
        call("entered 5 1")
        equal(ALL.lines(), ["entered: value=2", "entered: value=3"])
    event = ALL["both"]
    put(event / "trigger", "stacktrace:1 if value == 7 && index == 1")
    equal(traced(), both)
    ALL.clear()
    call("entered 6 3")
    text = (TRACING / "trace").read_text()
    put(event / "trigger", "!stacktrace:1 if value == 7 && index == 1")
    equal(traced(), [])
    equal(len(re.findall("<stack trace>", text)), 1)
    if "call" not in text:
        raise AssertionError(text)


@with_module
def test_entry_probes_are_armed_by_perf_and_bpf():
    tool("perf")
    with tempfile.TemporaryDirectory() as directory:
        data = perf_record(directory, "entered", "both", script=sender("entered 77 2"))
        out = run("perf", "script", "-F", "event,trace", "-i", data).stdout.splitlines()
    equal([" ".join(line.split()) for line in out if line.strip()], [
        line for n in (77, 78) for line in (
            f"events_test:both: value={n} index=0", f"events_test:entered: value={n}",
            f"events_test:both: value={n} index=1")])
    equal(traced(), [])
    tool("bpftrace")
    program = ("tracepoint:events_test:both { @[args->value, args->index] = count(); } "
               'interval:s:1 { printf("tick\\n"); }')
    with subprocess.Popen(["bpftrace", "-B", "line", "-e", program], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT) as tracer:
        for line in tracer.stdout:
            if line == "tick\n":
                break
        equal(traced(), ["events_entered", "events_entered_too"])
        call("entered 5 2")
        tracer.send_signal(signal.SIGINT)
        counted = sorted(line for line in tracer.stdout.read().splitlines() if line.startswith("@"))
    equal(counted, ["@[5, 0]: 1", "@[5, 1]: 1", "@[6, 0]: 1", "@[6, 1]: 1"])
    equal(traced(), [])


@with_module
def test_unsubscribed_probes_have_no_hits():
    with kmod.log("events") as log:
        for event in ("number", "entered"):
            call(f"{event} 1 1000")
            with ALL.listening(event):
                call(f"{event} 1 10")
            call(f"{event} 1 1000")
        kmod.rmmod("events")
        equal(log.lines(), ["20 hits, 0 unheard, quiet: false"])


def expected(text, length):
    short = text[:16]
    return (rf"everything: small=200 negative=-{length} truth=1 word=4660 hex=0xbeef "
            rf"list={{0x1,0x2,0xffff}} bytes={{0xff,0x2}} task=python3 at=[0-9a-f]{{16}} "
            rf"function=events_text\+0x0/0x[0-9a-f]+ \[events\] minus=-3 text={re.escape(short)} "
            rf"result=-2 more={re.escape(text)} last=7")


@with_module
def test_records_are_printed():
    with ALL.listening("number", "everything", "line", "other", "set"):
        call("number 5 2")
        call("text hello")
        call("bound 2")
        call("bound 4000000")
        call("number 18446744073709551615 1")
        lines = ALL.lines()
    equal([line for line in lines if not line.startswith("everything")], [
        "number: value=5", "number: value=6", "set: index=0", "set: index=1", 'line: 100% "2" is {-2}',
        "other: n=2", "set: index=1", 'line: 100% "4000000" is {0}', "other: n=4000000",
        "number: value=18446744073709551615"])
    match([line for line in lines if line.startswith("everything")][0], expected("hello", 5))


@with_module
def test_strings_are_escaped_and_cut():
    for text in ("a\tb\x1b[31m\xff\\ 16", "x" * 299, "x" * 310, ""):
        with ALL.listening("everything"):
            call(f"text {text}")
            line = [line for line in ALL.lines() if line.startswith("everything")][0]
        cut = text.encode("latin1")[:300]
        shown = [re.sub(r"[^ -~]", lambda m: {"\t": "\\t"}.get(m[0], f"\\x{ord(m[0]):02x}"),
                        part.decode("latin1")) for part in (cut[:16], cut)]
        words = re.search(r" text=(.*) result=-2 more=(.*) last=7$", line)
        equal([words[1], words[2]], shown)


@with_module
def test_pointers_are_hashed():
    with ALL.listening("everything"):
        call("text a")
        shown = re.search(r" at=([0-9a-f]+) ", ALL.lines()[-1])[1]
    if not shown.startswith("00000000"):
        raise AssertionError(shown)


@with_module
def test_filters():
    event = ALL["number"]
    put(event / "filter", "value > 6 && value != 8")
    with ALL.listening("number"):
        call("number 5 5")
        equal(ALL.lines(), ["number: value=7", "number: value=9"])
    put(event / "filter", "0")
    event = ALL["everything"]
    for text in ('more ~ "*needle*"', 'text == "a needle"', "negative == -8", 'task == "python3" && negative < -7'):
        put(event / "filter", text)
        with ALL.listening("everything"):
            call("text hay")
            call("text a needle")
            equal([line.split(" more=")[1] for line in ALL.lines()], ["a needle last=7"], text)
    refused(errno.EINVAL, put, event / "filter", "nothing == 1")


@with_module
def test_triggers_arm():
    event = ALL["number"]
    put(event / "trigger", "stacktrace:1 if value == 7")
    equal(armed("events_number"), [True])
    ALL.clear()
    call("number 5 5")
    text = (TRACING / "trace").read_text()
    put(event / "trigger", "!stacktrace:1 if value == 7")
    equal(armed("events_number"), [False])
    equal(len(re.findall("<stack trace>", text)), 1)
    if "events_number" not in text and "call" not in text:
        raise AssertionError(text)
    put(event / "trigger", "traceoff:1 if value == 3")
    with ALL.listening("number"):
        call("number 1 10")
        lines = ALL.lines()
    put(TRACING / "tracing_on", "1")
    put(event / "trigger", "!traceoff")
    equal(lines, ["number: value=1", "number: value=2", "number: value=3"])


@with_module
def test_histograms():
    event = ALL["everything"]
    if not (event / "hist").exists():
        raise kmod.Skip("the kernel has no CONFIG_HIST_TRIGGERS")
    hist = "hist:keys=text,list:vals=last"
    try:
        put(event / "trigger", hist)
    except OSError:
        hist = "hist:keys=text:vals=last"
        put(event / "trigger", hist)
    equal(sum(armed("events_text")), 1)
    ALL.clear()
    for text in ("one", "two", "two"):
        call(f"text {text}")
    found = re.findall(r"text: (\w+).*hitcount: +(\d+) +last: +(\d+)", (event / "hist").read_text())
    equal(sorted(found), [("one", "1", "7"), ("two", "2", "14")])
    equal(ALL.lines(), [])
    put(event / "trigger", "!" + hist)
    equal(sum(armed("events_text")), 0)


@with_module
def test_instances_have_their_own():
    with instance("one") as one, instance("two") as two:
        with one.listening("number"), two.listening("number", "other"):
            put(two["number"] / "filter", "value == 3")
            call("number 1 3")
            call("bound 1")
            equal(one.lines(), [f"number: value={n}" for n in (1, 2, 3)])
            equal(two.lines(), ["number: value=3", "other: n=1"])


@with_module
def test_set_event_pid():
    put(TRACING / "set_event_pid", str(os.getpid()))
    try:
        with ALL.listening("number"):
            call("number 1 1")
            run("sh", "-c", f"echo number 2 1 > {CALL}")
            call("number 3 1")
            equal(ALL.lines(), ["number: value=1", "number: value=3"])
    finally:
        put(TRACING / "set_event_pid", " ")


@with_module
def test_a_probe_of_two_events():
    before = armed("events_bound")
    equal(before, [False, False])
    with ALL.listening("line"):
        with ALL.listening("other"):
            equal(sum(armed("events_bound")), 1)
        equal(sum(armed("events_bound")), 1)
        call("bound 1")
        equal(ALL.lines(), ['line: 100% "1" is {-1}'])
    equal(armed("events_bound"), before)


@with_module
def test_a_tracepoint_is_armed():
    def send():
        os.kill(os.getpid(), signal.SIGCONT)

    with ALL.listening("signal"):
        send()
        if f"signal: signal={signal.SIGCONT}" not in ALL.lines():
            raise AssertionError(ALL.lines())
    ALL.clear()
    send()
    equal(ALL.lines(), [])


def patterns():
    """The record of "text ab" as bytes, after the common fields."""
    address = next(int(line.split()[0], 16) for line in open("/proc/kallsyms", encoding="ascii")
                   if line.split()[2] == "events_text")
    first = struct.pack("<B7xqBxHI3H2b16s", 200, -2, 1, 0x1234, 0xbeef, 1, 2, 0xffff, -1, 2, b"python3")
    second = struct.pack("<Qh2xIiIB7x", address, -3, 96 | 3 << 16, -2, 99 | 3 << 16, 7)
    return re.compile(re.escape(first) + b".{8}" + re.escape(second) + b"ab\0ab\0\0\0", re.DOTALL)


def fill_and_emit():
    """Leaves no zero where a record could leave a gap, then emits 3 of them."""
    for _ in range(60):
        call("text " + "\xff" * 299)
    for _ in range(3):
        call("text ab")


@with_module
def test_nothing_unwritten_goes_to_tracefs():
    with instance("raw") as raw:
        put(raw.folder / "buffer_size_kb", "8")
        with raw.listening("everything"):
            fill_and_emit()
        data = b""
        for cpu in (raw.folder / "per_cpu").iterdir():
            fd = os.open(cpu / "trace_pipe_raw", os.O_RDONLY | os.O_NONBLOCK)
            try:
                while page := os.read(fd, os.sysconf("SC_PAGESIZE")):
                    data += page
            except BlockingIOError:
                pass
            finally:
                os.close(fd)
        equal(len(patterns().findall(data)), 3)
        # With a filter, records go by way of another page.
        put(raw["everything"] / "filter", "small == 200")
        with raw.listening("everything"):
            fill_and_emit()
        data = b""
        for cpu in (raw.folder / "per_cpu").iterdir():
            fd = os.open(cpu / "trace_pipe_raw", os.O_RDONLY | os.O_NONBLOCK)
            try:
                while page := os.read(fd, os.sysconf("SC_PAGESIZE")):
                    data += page
            except BlockingIOError:
                pass
            finally:
                os.close(fd)
        equal(len(patterns().findall(data)), 3, "with a filter")


def perf_record(directory, *events, script, options=()):
    data = f"{directory}/perf.data"
    names = [word for event in events for word in ("-e", f"events_test:{event}", *options)]
    run("perf", "record", "-q", "-a", *names, "-o", data, "--", sys.executable, "-c", script)
    return data


@with_module
def test_nothing_unwritten_goes_to_perf():
    tool("perf")
    script = ("import os\n"
              f"def call(w):\n f=os.open('{CALL}', os.O_WRONLY); os.write(f, w.encode('latin1')); os.close(f)\n"
              "open('/proc/self/comm','w').write('python3')\n"
              "for _ in range(60): call('text ' + '\\xff' * 299)\n"
              "for _ in range(3): call('text ab')\n")
    with tempfile.TemporaryDirectory() as directory:
        # Records of all events are made in the same memory.
        data = perf_record(directory, "everything", "filler", script=script)
        equal(len(patterns().findall(Path(data).read_bytes())), 3)


def sender(*words):
    calls = "".join(f"open('{CALL}', 'w').write('{word}')\n" for word in words)
    return f"open('/proc/self/comm', 'w').write('python3')\n{calls}"


@with_module
def test_perf_record_and_script():
    tool("perf")
    with tempfile.TemporaryDirectory() as directory:
        data = perf_record(directory, "number", "everything", "line",
                           script=sender("number 77 2", "text Hallo", "bound 3"))
        out = run("perf", "script", "-F", "event,trace", "-i", data).stdout.splitlines()
    lines = [line.strip() for line in out if line.strip()]
    equal([re.sub(r" +", " ", line) for line in lines if "everything" not in line],
          ["events_test:number: value=77", "events_test:number: value=78",
           'events_test:line: 100% "3" is {-3}'])
    line = next(line for line in lines if "everything" in line)
    for part in ("negative=-5", "truth=1", "hex=0xbeef", "task=python3", "function=events_text", "minus=-3",
                 "text=Hallo", "result=-2", "last=7"):
        if f" {part}" not in line:
            raise AssertionError(f"no {part} in {line}")
    equal(armed("events_number"), [False])


@with_module
def test_perf_stat_counts_and_filters():
    tool("perf")
    out = run("perf", "stat", "-x,", "-a", "-e", "events_test:number", sys.executable, "-c",
              sender("number 1 12345")).stderr
    equal(out.split(",")[0], "12345")
    with tempfile.TemporaryDirectory() as directory:
        data = perf_record(directory, "number", script=sender("number 1 9"),
                           options=("--filter", "value > 2 && value < 5"))
        out = run("perf", "script", "-F", "trace", "-i", data).stdout.split()
    equal(out, ["value=3", "value=4"])


@with_module
def test_perf_has_call_chains():
    tool("perf")
    with tempfile.TemporaryDirectory() as directory:
        data = f"{directory}/perf.data"
        run("perf", "record", "-q", "-a", "-g", "-e", "events_test:number", "-o", data, "--",
            sys.executable, "-c", sender("number 1 1"))
        out = run("perf", "script", "-F", "ip,sym", "-i", data).stdout
    # perf does not find the module's own symbols.
    for name in ("param_attr_store", "vfs_write"):
        if name not in out:
            raise AssertionError(repr(out))


@with_module
def test_trace_cmd():
    tool("trace-cmd")
    with tempfile.TemporaryDirectory() as directory:
        data = f"{directory}/trace.dat"
        run("trace-cmd", "record", "-q", "-o", data, "-e", "events_test:number", "-e",
            "events_test:everything", sys.executable, "-c", sender("number 77 2", "text Hallo"))
        out = run("trace-cmd", "report", "-i", data).stdout
    found = re.findall(r"(number|everything): +(?:value=(\d+)|.* text=(\w+) .* last=7)", out)
    equal(found, [("number", "77", ""), ("number", "78", ""), ("everything", "", "Hallo")])
    equal(armed("events_number"), [False])


@with_module
def test_bpftrace():
    tool("bpftrace")
    program = ('tracepoint:events_test:everything { printf("%s %d %d %d\\n", str(args->text), '
               'args->small, args->list[2], args->minus); exit() } '
               'tracepoint:events_test:number { @[args->value] = count(); } '
               'interval:s:1 { printf("tick\\n"); }')
    with subprocess.Popen(["bpftrace", "-B", "line", "-e", program], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT) as tracer:
        lines = []
        for line in tracer.stdout:
            lines.append(line.strip())
            if line == "tick\n":
                equal(armed("events_number"), [True])
                refused(errno.EAGAIN, kmod.rmmod, "events")
                call("number 5 3")
                call("number 6 1")
                call("text bpf")
                break
        lines += [line.strip() for line in tracer.stdout]
    lines = [line for line in lines if line and line != "tick" and not line.startswith("Attaching")]
    equal(sorted(lines), ["@[5]: 1", "@[6]: 2", "@[7]: 1", "bpf 200 65535 -3"])
    equal(armed("events_number"), [False])


@with_module
def test_a_name_that_is_taken():
    with kmod.log("events_twice") as log:
        refused(errno.EBUSY, kmod.insmod, FOLDER / "events_twice.ko")
        equal(log.lines(), ["there is an event events_test:number already"])
    with ALL.listening("number"):
        call("number 1 1")
        equal(ALL.lines(), ["number: value=1"])


def test_a_name_that_is_free_again():
    with loaded(), ALL.listening("number"):
        refused(errno.EBUSY, kmod.insmod, FOLDER / "events_twice.ko")
    with kmod.log("events_twice") as log, loaded("events_twice"):
        equal(log.lines(), ["its init ran, false"])
        refused(errno.EBUSY, kmod.insmod, FOLDER / "events.ko")


def test_enabled_before_the_module_is_loaded():
    put(TRACING / "set_event", ":mod:events")
    with loaded():
        equal((ALL["number"] / "enable").read_text(), "1\n")
        equal(armed("events_number"), [True])
        call("number 4 1")
        if "number: value=4" not in ALL.lines():
            raise AssertionError(ALL.lines())


def test_an_arm_that_fails_is_the_error_of_the_write():
    with loaded("events_victim"), loaded("events_gone"):
        for event in ("called", "entered_victim"):
            ALL.set(event)
            ALL.set(event, False)
        kmod.rmmod("events_victim")
        for event in ("called", "entered_victim"):
            refused(errno.EINVAL, ALL.set, event)
            equal((ALL[event] / "enable").read_text(), "0\n")
        if shutil.which("perf"):
            done = subprocess.run(["perf", "stat", "-e", "events_test:called", "true"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if "not supported" not in done.stdout:
                raise AssertionError(done.stdout)


# The kernel frees no trigger of an event that goes with its module, whose ever it is. So
# where that is seen, none is left.
LEAKS_ARE_SEEN = Path("/sys/kernel/debug/kmemleak")


def test_rmmod_with_listeners_and_open_files():
    with loaded(), instance("left") as left:
        ALL.set("number")
        left.set("everything")
        if not LEAKS_ARE_SEEN.exists():
            put(left["number"] / "trigger", "stacktrace")
        call("number 1 10")
        names = ("enable", "format", "filter", "trigger", "id")
        files = [os.open(ALL["number"] / name, os.O_RDONLY) for name in names]
        kmod.rmmod("events")
        for fd, name in zip(files, names):
            try:
                os.read(fd, 4096)
            except OSError as error:
                equal(errno.errorcode[error.errno], "ENODEV", name)
            os.close(fd)
        equal(armed("events_number"), [])
        if ALL["number"].exists():
            raise AssertionError("the event is there")


@with_module
def test_rmmod_while_perf_listens():
    tool("perf")
    with subprocess.Popen(["perf", "stat", "-a", "-e", "events_test:number", "sleep", "30"],
                          stderr=subprocess.DEVNULL) as perf:
        try:
            until(lambda: armed("events_number") == [True])
            refused(errno.EAGAIN, kmod.rmmod, "events")
        finally:
            perf.send_signal(signal.SIGINT)


def test_rounds_while_the_module_comes_and_goes():
    """Four kinds of listener, and calls all the time."""
    stop = threading.Event()
    rounds = {}
    alone = threading.Lock() if LEAKS_ARE_SEEN.exists() else nullcontext()

    def trigger():
        with alone:
            put(number / "trigger", "stacktrace if value == 1")
            put(number / "trigger", "!stacktrace if value == 1")

    def toggles(name, *steps):
        def loop():
            while not stop.is_set():
                try:
                    for step in steps:
                        step()
                    rounds[name] += 1
                except OSError:
                    pass  # the module is away

        rounds[name] = 0
        return threading.Thread(target=loop)

    def perf():
        if shutil.which("perf"):
            done = subprocess.run(["perf", "stat", "-a", "-e", "events_test:number", "true"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if done.returncode:
                raise OSError

    with instance("rounds") as other:
        number = other["number"]
        threads = [
            toggles("enable", lambda: ALL.set("number"), lambda: ALL.set("number", False)),
            toggles("instance", lambda: other.set("number"), lambda: other.set("number", False)),
            toggles("entry", lambda: ALL.set("entered"), lambda: other.set("both"),
                    lambda: ALL.set("entered", False), lambda: other.set("both", False)),
            toggles("trigger", trigger),
            toggles("perf", perf),
            toggles("call", lambda: call("number 5 100"), lambda: call("entered 5 100")),
            toggles("read", lambda: (TRACING / "trace").read_bytes(), (ALL["number"] / "format").read_text),
        ]
        for thread in threads:
            thread.start()
        loads = busy = 0
        end = time.monotonic() + SECONDS
        while sum(rounds[name] for name in LISTENERS) < ROUNDS:
            if time.monotonic() > end:
                break
            kmod.insmod(FOLDER / "events.ko")
            loads += 1
            time.sleep(0.02 * (loads % 8))
            while True:
                try:
                    with alone:
                        kmod.rmmod("events")
                    break
                except BlockingIOError:
                    busy += 1
                    time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join()
    equal(armed("events_number") + traced(), [])
    if sum(rounds[name] for name in LISTENERS) < ROUNDS or not min(
            rounds[name] for name in rounds if name != "perf" or shutil.which("perf")):
        raise AssertionError(rounds)
    return f"{loads} loads, {busy} times in use, {', '.join(f'{n} {k}' for k, n in rounds.items())}"

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
            (errno.EINVAL, "enable n:u8"), (errno.EINVAL, "two"), (errno.EINVAL, "two n:u3"),
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
        do("forget three")
        do("forget four")
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
                   or re.match(r"left registered: 1 at [0-9a-f]+; ", line)]), 2, lines)
        equal(sorted(line for line in lines if "the event" in line),
              [f"left: the event events_test:{name}; removed now" for name in ("four", "three")])
        equal([gone(name) for name in ("one", "two", "three", "four")], [True] * 4)
        equal(left.lines(), [])


def test_rounds_while_events_come_and_go():
    """500 times, if there is time, and listeners, readers and calls all the time."""
    stop = threading.Event()
    done = {}

    def toggles(name, *steps):
        def loop():
            while not stop.is_set():
                try:
                    for step in steps:
                        step()
                    done[name] += 1
                except OSError:
                    pass  # the event is away
                # At random: an event that always has a listener stays.
                time.sleep(random.random() / 10)

        done[name] = 0
        return threading.Thread(target=loop)

    def perf():
        if shutil.which("perf"):
            done = subprocess.run(["perf", "stat", "-a", "-e", "events_test:one", "true"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if done.returncode:
                raise OSError

    stayed = made = 0
    end = time.monotonic() + 90
    with instance("rounds") as other, loaded("events_made"):
        one = ALL["one"]
        threads = [
            toggles("enable", lambda: ALL.set("one"), lambda: ALL.set("one", False)),
            toggles("instance", lambda: other.set("one"), lambda: other.set("one", False)),
            toggles("trigger", lambda: put(one / "trigger", "stacktrace if n == 1"),
                    lambda: put(one / "trigger", "!stacktrace if n == 1")),
            toggles("perf", perf),
            toggles("call", lambda: call_made(1, 100)),
            toggles("read", lambda: (other.folder / "trace").read_bytes(), (one / "format").read_text),
        ]
        for thread in threads:
            thread.start()
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
        stop.set()
        for thread in threads:
            thread.join()
    if made < 30 or not min(done[name] for name in done if name != "perf" or shutil.which("perf")):
        raise AssertionError((made, done))
    return f"{made} made, {stayed} times in use, {', '.join(f'{n} {k}' for k, n in done.items())}"


def kept(folder):
    """How many records the buffer of an instance has, has overwritten, and has not taken."""
    text = "".join((cpu / "stats").read_text() for cpu in (folder / "per_cpu").iterdir())
    return tuple(sum(map(int, re.findall(rf"^{name}: (\d+)$", text, re.M))) for name in (
        "entries", "overrun", "dropped events"))


@with_module
def test_who_listens_on_misses_nothing():
    """Others come before it and behind it, and go."""
    stop = threading.Event()
    rounds = [0, 0]

    def comes_and_goes(on, off, n):
        while not stop.is_set():
            on()
            off()
            rounds[n] += 1

    def perf():
        if shutil.which("perf"):
            run("perf", "stat", "-a", "-e", "events_test:number", "true")
        else:
            time.sleep(0.1)

    with instance("first") as first, instance("steady") as steady, instance("last") as last:
        last.set("number")
        steady.set("number")
        threads = [
            threading.Thread(target=comes_and_goes, args=(
                lambda: (first.set("number"), last.set("number", False)),
                lambda: (first.set("number", False), last.set("number")), 0)),
            threading.Thread(target=comes_and_goes, args=(perf, perf, 1)),
        ]
        for thread in threads:
            thread.start()
        called = 0
        while called < 200000 or rounds[0] < 50:
            call(f"number {called} 1000")
            called += 1000
        stop.set()
        for thread in threads:
            thread.join()
        entries, overrun, dropped = kept(steady.folder)
        equal((entries + overrun, dropped), (called, 0))
    return f"{called} calls, {rounds[0] + rounds[1]} rounds"


@with_module
def test_a_stream_loses_nothing_untold():
    """A reader follows: read + lost = emitted."""
    with instance("stream") as stream:
        put(stream.folder / "buffer_size_kb", "64")
        stream.set("number")
        done = threading.Event()
        fd = os.open(stream.folder / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for first in range(0, EVENTS, 10000):
                    call(f"number {first} 10000")
                status = 0
            finally:
                os._exit(status)
        read = lost = 0
        rest = b""
        ended = False
        while True:
            try:
                data = os.read(fd, 65536)
            except BlockingIOError:
                if ended:
                    break
                ended = os.waitpid(child, os.WNOHANG)[0] == child
                if not ended:
                    select.select([fd], [], [], 0.05)
                continue
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            for line in lines:
                told = re.search(rb"\[LOST (\d+) EVENTS\]", line)
                if told:
                    lost += int(told[1])
                elif b"number: value=" in line:
                    read += 1
                else:
                    raise AssertionError(line)
        os.close(fd)
        done.set()
        stream.set("number", False)
    equal(read + lost, EVENTS, f"{read} read, {lost} lost")
    return f"{read} read, {lost} lost"


EVENTS = 1000000
LISTENERS = ("enable", "instance", "trigger", "perf")
ROUNDS, SECONDS = 1000, 400


def main():
    global ROUNDS, EVENTS
    # Some thirty times slower. usage: events.py [--long] [TEST...]
    if LEAKS_ARE_SEEN.exists() and "--long" not in sys.argv:
        ROUNDS, EVENTS = 200, 100000
    for name, folder in (("tracefs", TRACING), ("debugfs", Path("/sys/kernel/debug"))):
        if not any(folder.iterdir()):
            run("mount", "-t", name, "nodev", str(folder))
    Path("/proc/self/comm").write_text("python3", encoding="ascii")
    return kmod.run("events", kmod.tests(globals()), [word for word in sys.argv[1:] if word != "--long"])


if __name__ == "__main__":
    sys.exit(main())
