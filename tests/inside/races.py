#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What the figures of probes are worth if CPUs really run concurrently: in a guest
with a host thread for each. The probes are registered before the first call and
until after the last. Prints KTAP.

usage: races.py CALLS		(on each CPU)
"""
import os
import sys
import threading

import kmod
from device import BEFORE, ENTRY, ENTRY_NESTED, FOLLOWED, HITS, INNER, MISSED, NESTED, RETURNS, TARGET, WRONG, Device
from kmod import equal, kprobe_list

CPUS = os.cpu_count()


def on_each_cpu(function):
    """Runs it on all CPUs, in a thread pinned to each."""
    begin = threading.Barrier(CPUS)

    def run(cpu):
        os.sched_setaffinity(0, {cpu})
        begin.wait()
        function()

    threads = [threading.Thread(target=run, args=(cpu,)) for cpu in range(CPUS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_each_hit_is_counted():
    with Device() as device:
        held = [device.add(BEFORE, "stress:stress_target"),
                device.add(FOLLOWED, "stress:stress_target", max_active=64)]
        on_each_cpu(lambda: device.call(TARGET, CALLS))
        for probe in held:
            equal((probe.ask(HITS), probe.ask(MISSED)), (CPUS * CALLS, 0))
        equal((held[1].ask(RETURNS), held[1].ask(WRONG)), (CPUS * CALLS, 0))
        for probe in held:
            probe.drop()
    return f"{CPUS * CALLS} calls, {CPUS * CALLS} hits and returns"


def test_hits_and_misses_of_entry_probes_are_exact():
    """The handler of one function calls another. Both are called by themselves, too."""
    with Device() as device:
        inner = [device.add(ENTRY, "stress:stress_inner") for _ in range(2)]
        outer = device.add(ENTRY_NESTED, "stress:stress_target")
        before = device.counted(INNER)
        on_each_cpu(lambda: device.call(TARGET, CALLS))
        on_each_cpu(lambda: device.call(INNER, CALLS))
        calls = device.counted(INNER) - before
        equal((outer.ask(HITS), outer.ask(MISSED)), (CPUS * CALLS, 0))
        equal(calls, 2 * CPUS * CALLS)
        for probe in inner:
            equal((probe.ask(HITS), probe.ask(MISSED)), (CPUS * CALLS, CPUS * CALLS))
        for probe in (*inner, outer):
            probe.drop()
    return f"{calls} calls = hits + missed, {CPUS * CALLS} of them missed"


def test_hits_in_handlers_are_missed_and_never_twice():
    """The handler of one function calls another. The kernel does not count misses
    atomically, so there may be fewer than expected, but not more."""
    with Device() as device:
        inner = [device.add(BEFORE, "stress:stress_inner"),
                 device.add(FOLLOWED, "stress:stress_inner", max_active=64)]
        outer = device.add(NESTED, "stress:stress_target")
        before = device.counted(INNER)
        on_each_cpu(lambda: device.call(TARGET, CALLS))
        nested = device.counted(INNER) - before
        equal(outer.ask(HITS), CPUS * CALLS)
        outer.drop()
        lost = []
        for probe in inner:
            equal(probe.ask(HITS), 0)
            lost.append(nested - probe.ask(MISSED))
            if not 0 <= lost[-1] < nested:
                raise AssertionError(f"{probe.ask(MISSED)} missed of {nested}")
        # Outside of handlers, nothing is missed, and the count is exact.
        missed = [probe.ask(MISSED) for probe in inner]
        on_each_cpu(lambda: device.call(INNER, CALLS))
        equal([probe.ask(HITS) for probe in inner], 2 * [CPUS * CALLS])
        equal([probe.ask(MISSED) for probe in inner], missed)
        for probe in inner:
            probe.drop()
    return f"{nested} calls in handlers, {', '.join(map(str, lost))} of them in no figure"


def main():
    kmod.insmod("tests/stress/stress.ko")
    status = kmod.run(f"races on {CPUS} CPUs", kmod.tests(globals()))
    equal(kprobe_list(), [])
    kmod.rmmod("stress")
    return status


if __name__ == "__main__":
    CALLS = int(sys.argv[1])
    sys.exit(main())
