# SPDX-License-Identifier: GPL-2.0
"""The places and names of definitions' probes."""
import re
from contextlib import contextmanager

import arch
from kmod import (TRACING, ends, equal, function_tracer, kprobe_list, loaded, match, match_lines,
                  nothing_left, probes, read, traced, unregistered, write)
from module_loaded import HOW, INSIDE, MODULE, TARGET, names, probing, registered, rmmod, trigger


@contextmanager
def another_kprobe():
    write(TRACING / "kprobe_events", f"p:mine {TARGET}\n")
    write(TRACING / "events/kprobes/mine/enable", 1)
    try:
        yield
    finally:
        write(TRACING / "events/kprobes/mine/enable", 0)
        write(TRACING / "kprobe_events", "\n")


def ways(definitions):
    """The mechanisms of the module's probes. Each probe is hit three times."""
    with loaded(MODULE, probes(definitions)) as kmsg:
        found = [match(line, rf"\S+: registered .* by {HOW}")[1] for line in kmsg.lines()]
        trigger(3)
        rmmod()
        match_lines(ends(kmsg), len(found) * [unregistered(r"\S+", 3, 0, 0)])
    return found


def test_a_definition_without_an_offset_is_an_entry_probe():
    with probing(f"p:enter {TARGET}") as kmsg:
        match_lines(kmsg.lines(), [registered("enter", "p", arch.ftrace_call(TARGET), "entry")])
        equal((kprobe_list(), traced()), ([], [TARGET]))
    # One ftrace_ops serves both probes.
    equal(ways(f"p:one {TARGET}; p:two {TARGET}"), ["entry", "entry"])


def test_a_definition_beside_another_tracer_is_a_kprobe():
    """There, an entry probe would slow down the other tracer."""
    equal(ways(f"p:one {TARGET}; r:two {TARGET}"), [arch.ENTRY] * 2)
    equal(ways(f"p:one {TARGET}; p:two {TARGET}+{INSIDE:#x}")[0], arch.ENTRY)
    with function_tracer(TARGET):
        equal(ways(f"p:one {TARGET}"), [arch.ENTRY])
    with another_kprobe():
        # Without KPROBES_ON_FTRACE, the kprobe does not use ftrace.
        equal(ways(f"p:one {TARGET}"), [arch.ENTRY if arch.ENTRY == "ftrace" else "entry"])
    equal(ways(f"p:one {TARGET}"), ["entry"])
    nothing_left("rust_kprobe")


def test_a_probe_at_an_offset_is_hit():
    with probing(f"p:in {TARGET}+{INSIDE:#x}") as kmsg:
        place = registered("in", "p", f"{TARGET}+{INSIDE:#x}", "(jump|breakpoint)")
        found = match(kmsg.lines()[0], place)
        # The kernel's list has the same place.
        (line,) = kprobe_list()
        equal("[OPTIMIZED]" in line, found.groups()[-1] == "jump")
        trigger(7)
        rmmod()
        match(kmsg.lines()[-1], unregistered("in", 7, 0, 0))


def test_addresses_and_offsets_beyond_a_function_are_accepted():
    symbols = arch.symbols()
    place = symbols[TARGET]
    calls = arch.handler_of("")
    before = max((name for name in symbols if name.startswith(calls) and symbols[name] < place),
                 key=symbols.get)
    for definitions in f"p:x {place:#x}; r:y {place:#x}", f"r:y {before}+{place - symbols[before]}":
        with probing(definitions) as kmsg:
            match_lines(kmsg.lines(), [registered("[xy]", one.strip()[0], arch.entry(TARGET))
                                       for one in definitions.split(";")])
        equal(len(ways(definitions)), definitions.count("0x") or 1)


def test_default_probe_names_are_those_of_tracefs():
    """tracefs makes and shows the names of the same definitions."""
    kprobe_events = TRACING / "kprobe_events"
    # A function that the compiler renamed, and the longest name.
    functions = set(read(TRACING / "available_filter_functions").split())
    dotted = [name for name in arch.symbols() if "." in name and name in functions]
    longest = max(functions, key=len)
    definitions = [f"p {place}" for place in (TARGET, f"{TARGET}+{INSIDE}", longest, *dotted[:1])]
    definitions.append(f"r {TARGET}")
    made = []
    for definition in definitions:
        write(kprobe_events, definition)
        made += re.findall(r"^[pr]\d*:kprobes/(\S+) ", read(kprobe_events), re.MULTILINE)
        write(kprobe_events, "")  # Truncating the file removes all events.
    equal(len(made), len(definitions))
    with probing("; ".join(definitions)) as kmsg:
        equal(names(kmsg), made)


def test_commas_can_replace_spaces():
    # Unquoted, like on the kernel's command line.
    with loaded(MODULE, f"probes=p:enter,{TARGET};r:leave,{TARGET}") as kmsg:
        equal(names(kmsg), ["enter", "leave"])
