# SPDX-License-Identifier: GPL-2.0
"""Where definitions put probes, and how they name them."""
import errno
import re
from contextlib import contextmanager

import arch
from kmod import Skip, equal, kprobe_list, match, match_lines, probes, unregistered
from loaded import HOW, INSIDE, TARGET, loaded, nothing_left, registered, rmmod, traced, trigger

TRACING = "/sys/kernel/tracing"


def write(file, text):
    with open(f"{TRACING}/{file}", "w", encoding="ascii") as out:
        out.write(text)


@contextmanager
def function_tracer():
    """Another tracer at TARGET."""
    write("set_ftrace_filter", TARGET)
    write("current_tracer", "function")
    try:
        yield
    finally:
        write("current_tracer", "nop")
        write("set_ftrace_filter", "\n")


@contextmanager
def another_kprobe():
    write("kprobe_events", f"p:mine {TARGET}\n")
    write("events/kprobes/mine/enable", "1")
    try:
        yield
    finally:
        write("events/kprobes/mine/enable", "0")
        write("kprobe_events", "\n")


def ways(definitions):
    """How the module's probes are hit: each of them is, three times."""
    with loaded(probes(definitions)) as kmsg:
        found = [match(line, rf"\S+: registered .* by {HOW}")[1] for line in kmsg.lines()]
        trigger(3)
        rmmod()
        for line in kmsg.lines()[-len(found):]:
            match(line, unregistered(r"\S+", 3, 0, 0))
    return found


def test_probe_at_an_entry_is_the_cheapest():
    with loaded(probes(f"p:enter {TARGET}")) as kmsg:
        match_lines(kmsg.lines(), [registered("enter", "p", entry_place(), "entry")])
        equal((kprobe_list(), traced()), ([], [TARGET]))
    nothing_left()
    # One ftrace_ops serves both.
    equal(ways(f"p:one {TARGET}; p:two {TARGET}"), ["entry", "entry"])
    nothing_left()


def entry_place():
    """The symbol and offset of ftrace's call."""
    with open("/proc/kallsyms", encoding="ascii") as kallsyms:
        start = next(int(l.split()[0], 16) for l in kallsyms if l.split()[2] == TARGET)
    with open(f"{TRACING}/available_filter_functions_addrs", encoding="ascii") as addresses:
        call = next(int(l.split()[0], 16) for l in addresses if l.split()[1] == TARGET)
    return f"{TARGET}+{call - start:#x}"


def test_probe_at_an_entry_beside_others_is_a_kprobe():
    """There, an entry probe would make all of them dearer."""
    equal(ways(f"p:one {TARGET}; r:two {TARGET}"), [arch.ENTRY] * 2)
    equal(ways(f"p:one {TARGET}; p:two {TARGET}+{INSIDE:#x}")[0], arch.ENTRY)
    with function_tracer():
        equal(ways(f"p:one {TARGET}"), [arch.ENTRY])
    nothing_left()
    with another_kprobe():
        # Without KPROBES_ON_FTRACE, that one is elsewhere.
        equal(ways(f"p:one {TARGET}"), [arch.ENTRY if arch.ENTRY == "ftrace" else "entry"])
    nothing_left()
    equal(ways(f"p:one {TARGET}"), ["entry"])


def test_probe_at_an_entry_where_ftrace_is_off():
    """Linux 7.2 refuses the entry probe then. The kprobe is as good as one can be."""
    switch = "/proc/sys/kernel/ftrace_enabled"

    def switch_to(on):
        with open(switch, "w", encoding="ascii") as file:
            file.write(str(on))

    try:
        switch_to(0)
    except OSError as error:
        equal(error.errno, errno.EOPNOTSUPP)
        raise Skip("it cannot be switched off here") from None
    try:
        with loaded(probes(f"p:enter {TARGET}")) as kmsg:
            match_lines(kmsg.lines(), [registered("enter", "p", arch.entry(TARGET), arch.ENTRY)])
    finally:
        switch_to(1)
    equal(ways(f"p:one {TARGET}"), ["entry"])


def test_two_probes_on_one_function():
    with loaded(probes(f"p:one {TARGET}; p:two {TARGET}")) as kmsg:
        kmsg.lines()
        trigger(5)
        lines = kmsg.lines()
        equal(sum(l.startswith("one: pre ") for l in lines), 5)
        equal(sum(l.startswith("two: pre ") for l in lines), 5)
        rmmod()
        match_lines(kmsg.lines(), [unregistered("one", 5, 0, 0), unregistered("two", 5, 0, 0)])
    nothing_left()


def test_probe_at_an_offset():
    with loaded(probes(f"p:in {TARGET}+{INSIDE:#x}")) as kmsg:
        found = match(kmsg.lines()[0], registered("in", "p", f"{TARGET}+{INSIDE:#x}", "(jump|breakpoint)"))
        # The kernel's own list tells the same.
        (line,) = kprobe_list()
        equal("[OPTIMIZED]" in line, found.groups()[-1] == "jump")
        trigger(7)
        rmmod()
        match(kmsg.lines()[-1], unregistered("in", 7, 0, 0))
    nothing_left()


def test_names_are_those_of_tracefs_where_none_is_given():
    with loaded(probes(f"p {TARGET}; p {TARGET}+{INSIDE}; r {TARGET}")) as kmsg:
        names = [line.split(":")[0] for line in kmsg.lines()]
        equal(names, [f"p_{TARGET}_0", f"p_{TARGET}_{INSIDE}", f"r_{TARGET}_0"])


def test_names_are_those_of_tracefs_for_any_symbol():
    """tracefs makes names of the same definitions, and shows them."""
    events = "/sys/kernel/tracing/kprobe_events"
    with open("/proc/kallsyms", encoding="ascii") as kallsyms:
        symbols = [line.split() for line in kallsyms]
    # What the compiler made of a function, and the longest name there is.
    traced = {line.split()[0] for line in open("/sys/kernel/tracing/available_filter_functions",
                                               encoding="ascii")}
    dotted = [s[2] for s in symbols if "." in s[2] and s[2] in traced]
    longest = max((name for name in traced if len(name) > 30), key=len)
    places = [TARGET, f"{TARGET}+{INSIDE}", longest, *dotted[:1]]
    made = []
    for place in places:
        with open(events, "w", encoding="ascii") as file:
            file.write(f"p {place}\n")
        made += re.findall(r"^p:kprobes/(\S+) ", open(events, encoding="ascii").read(), re.MULTILINE)
        with open(events, "w", encoding="ascii"):
            pass  # To truncate it is to remove them.
    equal(len(made), len(places))
    with loaded(probes("; ".join(f"p {place}" for place in places))) as kmsg:
        equal([line.split(":")[0] for line in kmsg.lines()], made)


def test_commas_serve_where_a_space_cannot():
    with loaded(f"probes=p:enter,{TARGET};r:leave,{TARGET}".encode()) as kmsg:
        equal([line.split(":")[0] for line in kmsg.lines()], ["enter", "leave"])
