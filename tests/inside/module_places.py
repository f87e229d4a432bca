# SPDX-License-Identifier: GPL-2.0
"""Where definitions put probes, and how they name them."""
import re

from kmod import equal, kprobe_list, match, match_lines, probes, unregistered
from loaded import INSIDE, TARGET, loaded, nothing_left, registered, rmmod, trigger


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
