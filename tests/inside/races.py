#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Checks the counts of probes if CPUs really run concurrently: in a guest with a host thread for
each CPU. The probes are registered before the first call and until after the last. Prints KTAP.

usage: races.py CALLS (on each CPU)
"""
import sys

import kmod
from device import (AT, BEFORE, ENTRY, ENTRY_NESTED, FOLLOWED, HITS, INNER, MISSED, NESTED,
                    RETURNS, TARGET, WRONG, Device, maps_add_up, run)
from kmod import CPUS, check, equal


def call(on, which):
    before = on.counted(which)
    kmod.on_each_cpu(lambda: on.call(which, CALLS))
    return on.counted(which) - before


def test_concurrent_hits_are_all_counted():
    with Device() as device:
        held = [device.add(BEFORE, AT[TARGET]), device.add(FOLLOWED, AT[TARGET], max_active=64)]
        calls = call(device, TARGET)
        equal(calls, CPUS * CALLS)
        equal([probe.ask(HITS, MISSED) for probe in held], 2 * [(calls, 0)])
        equal(held[1].ask(RETURNS, WRONG), (calls, 0))
    return f"{calls} calls, {calls} hits and returns"


def test_hits_and_misses_of_entry_probes_are_exact():
    """The handler of one function calls another one. Both functions are also called directly."""
    with Device() as device:
        inner = [device.add(ENTRY, AT[INNER]) for _ in range(2)]
        outer = device.add(ENTRY_NESTED, AT[TARGET])
        before = device.counted(INNER)
        half = call(device, TARGET)
        call(device, INNER)
        equal((half, device.counted(INNER) - before), (CPUS * CALLS, 2 * half))
        equal(outer.ask(HITS, MISSED), (half, 0))
        equal([probe.ask(HITS, MISSED) for probe in inner], 2 * [(half, half)])
    return f"{2 * half} calls = hits + missed, {half} of them missed, by each of 2 probes"


def test_calls_in_handlers_are_counted_as_missed_at_most_once():
    """The same by kprobes. The kernel does not count misses atomically, so it may lose some."""
    with Device() as device:
        inner = [device.add(BEFORE, AT[INNER]), device.add(FOLLOWED, AT[INNER], max_active=64)]
        outer = device.add(NESTED, AT[TARGET])
        before = device.counted(INNER)
        calls = call(device, TARGET)
        nested = device.counted(INNER) - before
        equal((calls, outer.ask(HITS)), (CPUS * CALLS, CPUS * CALLS))
        outer.drop()
        equal([probe.ask(HITS) for probe in inner], [0, 0])
        missed = [probe.ask(MISSED) for probe in inner]
        check(all(0 < count <= nested for count in missed), f"{missed} missed of {nested}")
        # Outside of handlers, no hit is missed, and the count is exact.
        equal(call(device, INNER), calls)
        equal([probe.ask(HITS, MISSED) for probe in inner], [(calls, count) for count in missed])
    counted = ", ".join(map(str, missed))
    return f"{nested} calls in handlers, counted as missed by the two probes: {counted}"


def test_maps_and_their_drops_add_up_to_the_hits():
    return maps_add_up(2)


if __name__ == "__main__":
    CALLS = int(sys.argv[1])
    sys.exit(run(f"races on {CPUS} CPUs", kmod.tests(globals())))
