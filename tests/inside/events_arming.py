# SPDX-License-Identifier: GPL-2.0
"""Listeners arm an event's probes: by enable, instances, triggers, perf, BPF."""
import errno
import os
import shutil
import signal
import subprocess
import threading

import device
from kmod import (TRACING, Threads, at_once, check, equal, insmod, is_loaded, log, outcome,
                  read, refused, rmmod, until, write)
from listening import (ALL, BOTH, HAS_KMEMLEAK, armed, call, instance, ko, module, tool, traced,
                       with_module)


@with_module
def test_the_first_listener_arms_a_kprobe_and_the_last_disarms_it():
    for event, function, off in (("number", "events_number", [False]),
                                 ("everything", "events_text", [False, False])):
        equal(armed(function), off, f"{event} before")
        ALL.set(event)
        equal(sum(armed(function)), 1, f"{event} enabled")
        with instance("armed") as other:
            other.set(event)
            ALL.set(event, False)
            equal(sum(armed(function)), 1, f"{event} in an instance")
        # The instance was removed while its event was enabled.
        equal(armed(function), off, f"{event} afterwards")


@with_module
def test_listeners_arm_and_disarm_entry_probes():
    equal(traced(), [])
    call("entered 1 1")
    with ALL.listening("entered"):
        equal(traced(), BOTH[:1])
        call("entered 2 1")
        with instance("armed") as other:
            other.set("both")
            equal(traced(), BOTH)
            call("entered 3 1")
            # One event is disabled, while the other one is at the same function.
            ALL.set("entered", False)
            equal(traced(), BOTH)
            call("entered 4 1")
            equal(other.lines(), [f"both: value={n} index={i}" for n in (3, 4) for i in (0, 1)])
        equal(traced(), [])
        call("entered 5 1")
        equal(ALL.lines(), ["entered: value=2", "entered: value=3"])


@with_module
def test_probes_without_listeners_are_not_hit():
    with log("events") as kmsg:
        for event in ("number", "entered"):
            call(f"{event} 1 1000")
            with ALL.listening(event):
                call(f"{event} 1 10")
            call(f"{event} 1 1000")
        rmmod("events")
        equal(kmsg.lines(), ["20 hits, 0 unheard, quiet: false"])


@with_module
def test_filters_select_records():
    ALL.filter("number", "value > 6 && value != 8")
    with ALL.listening("number"):
        call("number 5 5")
        equal(ALL.lines(), ["number: value=7", "number: value=9"])
    for text in ('more ~ "*needle*"', 'text == "a needle"', "negative == -8",
                 'task == "python3" && negative < -7'):
        ALL.filter("everything", text)
        with ALL.listening("everything"):
            call("text hay")
            call("text a needle")
            equal([line.split(" more=")[1] for line in ALL.lines()], ["a needle last=7"], text)
    refused("EINVAL", ALL.filter, "everything", "nothing == 1")


@with_module
def test_triggers_arm_probes():
    for event, words, condition, ask, on, off in (
            ("number", "number 5 5", "value == 7", lambda: armed("events_number"), [True], [False]),
            ("both", "entered 6 3", "value == 7 && index == 1", traced, BOTH, [])):
        trigger = f"stacktrace:1 if {condition}"
        ALL.trigger(event, trigger)
        equal(ask(), on)
        ALL.clear()
        call(words)
        text = read(TRACING / "trace")
        ALL.trigger(event, "!" + trigger)
        equal(ask(), off)
        equal(text.count("<stack trace>"), 1)
        check("events_number" in text or "call" in text, text)


@with_module
def test_removing_a_listener_waits_for_a_cpu_that_goes_offline():
    # Without this option, only the library waits.
    write(TRACING / "options/record-cmd", 0)
    try:
        with instance("one") as one, device.stress("stress_late", "offline=1"):
            one.set("number")
            device.waits_for_a_cpu(lambda: one.set("number", False))
    finally:
        write(TRACING / "options/record-cmd", 1)


@with_module
def test_a_probe_of_two_events_is_armed_by_either():
    equal(armed("events_bound"), [False, False])
    with ALL.listening("line"):
        with ALL.listening("other"):
            equal(sum(armed("events_bound")), 1)
        equal(sum(armed("events_bound")), 1)
        call("bound 1")
        equal(ALL.lines(), ['line: 100% "1" is {-1}'])
    equal(armed("events_bound"), [False, False])


@with_module
def test_a_listener_arms_a_tracepoint():
    def send():
        os.kill(os.getpid(), signal.SIGCONT)
        return f"signal: signal={signal.SIGCONT}" in ALL.lines()

    with ALL.listening("signal"):
        check(send(), ALL.lines())
    ALL.clear()
    check(not send(), ALL.lines())


def test_a_duplicate_event_name_is_refused_while_in_use():
    with module(), log("events_duplicate") as kmsg:
        refused("EBUSY", insmod, ko("events_duplicate"))
        equal(kmsg.lines(), ["event events_test:number already exists"])
        with ALL.listening("number"):
            call("number 1 1")
            equal(ALL.lines(), ["number: value=1"])
            refused("EBUSY", insmod, ko("events_duplicate"))
    with module("events_duplicate") as kmsg:
        equal(kmsg.lines(), ["its init ran, false"])
        refused("EBUSY", insmod, ko("events"))


def test_only_one_of_two_modules_loading_at_once_gets_the_event():
    names, looks = ("events", "events_duplicate"), []
    begin = threading.Barrier(2)

    def load(name):
        begin.wait()
        return outcome(insmod, ko(name))

    def look():
        with instance("names") as other:
            try:
                looks.append(os.listdir(other.folder / "events/events_test"))
            except OSError as error:
                # The folder may be removed at any time. EIO would be an event without a name.
                if error.errno not in (errno.ENOENT, errno.EINVAL):
                    raise

    with Threads() as looker:
        looker.start(look)
        for _ in range(25):
            equal((sorted(at_once(load, names)), looker.errors), (["", "EBUSY"], []))
            rmmod(next(name for name in names if is_loaded(name)))
    check(any("number" in events for events in looks), "no instance was made while one was loaded")


def test_an_event_is_enabled_before_its_module_is_loaded():
    write(TRACING / "set_event", ":mod:events")
    with module():
        equal(read(ALL["number"] / "enable"), "1\n")
        equal(armed("events_number"), [True])
        call("number 4 1")
        check("number: value=4" in ALL.lines(), ALL.lines())


def test_enabling_fails_with_the_error_of_arming():
    with device.stress("stress_victim"), module("events_gone"):
        for event in ("called", "entered_victim"):
            ALL.set(event)
            ALL.set(event, False)
        rmmod("stress_victim")
        for event in ("called", "entered_victim"):
            refused("EINVAL", ALL.set, event)
            equal(read(ALL[event] / "enable"), "0\n")
        if shutil.which("perf"):
            done = subprocess.run(["perf", "stat", "-e", "events_test:called", "true"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            check("not supported" in done.stdout, done.stdout)


def test_a_trigger_is_accepted_although_arming_fails():
    """The kernel cannot remove the trigger. The next listener arms again, and is refused."""
    with device.stress("stress_victim"), module("events_gone") as kmsg:
        rmmod("stress_victim")
        with instance("left") as left:
            left.trigger("called", "stacktrace")
            equal(kmsg.lines(), ["cannot arm a probe of event events_test:called for a trigger: "
                                 "-EINVAL"])
            refused("EINVAL", ALL.set, "called")
            left.trigger("called", "!stacktrace")
            left.trigger("called", "stacktrace")


def test_rmmod_succeeds_with_listeners_and_open_files():
    with module(), instance("left") as left:
        ALL.set("number")
        left.set("everything")
        # The kernel leaks the triggers of a module that is unloaded.
        if not HAS_KMEMLEAK:
            left.trigger("number", "stacktrace")
        call("number 1 10")
        names = ("enable", "format", "filter", "trigger", "id")
        files = [os.open(ALL["number"] / name, os.O_RDONLY) for name in names]
        rmmod("events")
        for fd in files:
            check(outcome(os.read, fd, 4096) in ("", "ENODEV"), "an open file of the event")
            os.close(fd)
        equal(armed("events_number"), [])
        check(not ALL["number"].exists(), "the event still exists")


@with_module
def test_rmmod_fails_while_perf_listens():
    tool("perf")
    with subprocess.Popen(["perf", "stat", "-a", "-e", "events_test:number", "sleep", "30"],
                          stderr=subprocess.DEVNULL) as perf:
        try:
            until(lambda: armed("events_number") == [True])
            refused("EAGAIN", rmmod, "events")
        finally:
            perf.send_signal(signal.SIGINT)
