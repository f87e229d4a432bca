# SPDX-License-Identifier: GPL-2.0
"""Who listens to an event arms its probes: by enable, instances, triggers, perf, BPF."""
import errno
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading

import kmod
import late
from kmod import equal
from listening import (ALL, CALL, FOLDER, LEAKS_ARE_SEEN, TRACING, armed, call,
                       instance, loaded, perf_record, put, refused, run, sender, tool,
                       traced, until, with_module)


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
def test_a_listener_that_leaves_waits_for_a_cpu_that_goes_offline():
    """RCU ignores that CPU in its last steps, in which handlers emit records."""
    left = threading.Event()

    def leave(instance):
        instance.set("number", False)
        left.set()

    # Without it, only the library waits.
    put(TRACING / "options/record-cmd", "0")
    try:
        with instance("one") as one, late.loaded("stress_late", b"offline=1"):
            one.set("number")
            leaving = threading.Thread(target=leave, args=(one,))
            with late.cpu_held_offline():
                leaving.start()
                equal(left.wait(1), False, "it left while the CPU goes offline")
            leaving.join()
    finally:
        put(TRACING / "options/record-cmd", "1")


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


def test_one_of_two_modules_that_load_at_once_gets_the_name():
    """Meanwhile, each event of each new instance has its name."""
    loads, looks, wrong = {"events": 0, "events_twice": 0}, [], []
    begin, done = threading.Barrier(2), threading.Event()

    def load(name):
        begin.wait()
        try:
            kmod.insmod(FOLDER / f"{name}.ko")
            loads[name] += 1
        except OSError as error:
            if error.errno != errno.EBUSY:
                wrong.append((name, error))

    def look():
        while not done.is_set():
            with instance("names") as other:
                try:
                    looks.append(os.listdir(other.folder / "events/events_test"))
                except OSError as error:
                    # The folder may be removed at any time. EIO is a name without characters.
                    if error.errno not in (errno.ENOENT, errno.EINVAL):
                        wrong.append(error)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for total in range(1, 26):
            threads = [threading.Thread(target=load, args=(name,)) for name in loads]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            equal((sum(loads.values()), wrong), (total, []))
            kmod.rmmod(next(name for name in loads if kmod.is_loaded(name)))
    finally:
        done.set()
        looker.join()
    if not any("number" in names for names in looks):
        raise AssertionError("no instance was made while a module was loaded")


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


def test_a_trigger_is_let_in_where_arming_fails():
    """The kernel cannot take one back. The next listener tries again, and is refused."""
    with loaded("events_victim"), loaded("events_gone"):
        kmod.rmmod("events_victim")
        with instance("left") as left, kmod.log("events_gone") as log:
            put(left["called"] / "trigger", "stacktrace")
            equal(log.lines(), ["a probe of the event events_test:called cannot be armed for a trigger: "
                                "error -22"])
            refused(errno.EINVAL, ALL.set, "called")
            put(left["called"] / "trigger", "!stacktrace")
            put(left["called"] / "trigger", "stacktrace")


# The kernel frees no trigger of an event that goes with its module, whose ever it is. So
# where that is seen, none is left.


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
