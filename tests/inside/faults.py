#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Makes each allocation fail while a module is loaded or a probe or a set is
registered: the first, the second, and so on, until none is left. No failure may
leave anything behind. For the debug kernel. Prints KTAP.

usage: faults.py [TEST...]
"""
import collections
import errno
import os
import shutil
import sys

import kmod
from device import (AROUND, BEFORE, ENTRY, ENTRY_SET, FOLLOWED, IO_REFUSED, MATCHING, RETURN_SET,
                    SET, TARGET, TRACED, Device)
from kmod import equal, kprobe_list, probes

FAILSLAB = "/sys/kernel/debug/failslab"
PLACES = [f"stress:stress_{name}" for name in ("target", "exact", "inner", "irq", "softirq")]


def write(path, value):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(value))


def inject(action, undo, check):
    """Runs `action` with its first allocation failing, then with its second,
    until there is none left. Gives how often it failed, by errno, and how often
    it went well all the same."""
    failed, survived = collections.Counter(), 0
    # Opened before, because that allocates.
    nth = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
    try:
        for n in range(1, 5000):
            os.pwrite(nth, str(n).encode(), 0)
            try:
                result = action()
            except OSError as error:
                result = error
            left = int(os.pread(nth, 32, 0))
            os.pwrite(nth, b"0", 0)
            if isinstance(result, OSError):
                failed[errno.errorcode[result.errno]] += 1
                check()
                if left:
                    raise AssertionError(
                        f"{result} at {n}, although no allocation failed: {left} left, "
                        f"{failed}, {survived}"
                    )
            else:
                undo(result)
                check()
                if left:
                    return failed, survived
                survived += 1
    finally:
        os.close(nth)
    raise AssertionError("there is no end of allocations")


def told(failed, survived, at_least=1):
    """Summarises the outcome. Only ENOMEM is acceptable."""
    equal([name for name in failed if name != "ENOMEM"], [])
    if failed["ENOMEM"] < at_least:
        raise AssertionError(f"{failed} failures, {survived} survived")
    return f"{failed['ENOMEM']} times ENOMEM, {survived} times without an effect"


def nothing_left():
    equal(kprobe_list(), [])
    equal(kmod.is_loaded("rust_kprobe"), False)


def module(definitions):
    # Failures while it is read through 9p would break the root file system.
    copy = "/tmp/rust_kprobe.ko"
    shutil.copy("rust_kprobe.ko", copy)

    def load():
        kmod.insmod(copy, definitions)

    def unload(_):
        kmod.rmmod("rust_kprobe")

    return told(*inject(load, unload, nothing_left), at_least=20)


def test_insmod_with_its_own_probes():
    return module(b"")


def test_insmod_with_a_definition_of_each_kind():
    return module(probes("p:a kernel_clone; r8:b kernel_clone; p:c do_exit+0; r:d do_exit"))


def device_test(kind, *places):
    def test():
        with Device() as device:
            def add():
                return device.add(kind, *places)

            def drop(held):
                # It works.
                if PLACES[0] in places:
                    before = held.seen()
                    device.call(TARGET, 3)
                    equal(held.seen(), before + 3)
                held.drop()

            return told(*inject(add, drop, nothing_left))

    return test


def test_a_kth_member_without_memory_leaves_no_other():
    """The members before it are already registered when it is refused."""
    refused = set()
    with Device() as device:
        def check():
            nothing_left()
            refused.add(device.ioctl(IO_REFUSED))

        inject(lambda: device.add(SET, *PLACES), lambda held: held.drop(), check)
    if len(refused) < 3:
        raise AssertionError(f"only members {refused} were refused")
    return f"members {', '.join(map(str, sorted(refused)))}"


def main():
    write(f"{FAILSLAB}/ignore-gfp-wait", "N")
    write(f"{FAILSLAB}/verbose", 0)
    kinds = {
        "a kprobe": (BEFORE, PLACES[0]),
        "a kprobe with a post handler": (AROUND, PLACES[0]),
        "a kretprobe": (FOLLOWED, PLACES[0]),
        "a set of kprobes": (SET, *PLACES),
        "a set of kretprobes": (RETURN_SET, *PLACES),
        "a tracepoint": (TRACED, "sched_process_exec"),
        "an entry probe": (ENTRY, PLACES[0]),
        "a set of entry probes": (ENTRY_SET, *PLACES),
        "entry probes by a pattern": (MATCHING, "stress_*"),
    }
    tests = [(f"each allocation of {name} fails", device_test(*what)) for name, what in kinds.items()]
    tests += kmod.tests(globals())
    kmod.insmod("tests/stress/stress.ko")
    status = kmod.run("faults", tests, sys.argv[1:])
    kmod.rmmod("stress")
    return status


if __name__ == "__main__":
    sys.exit(main())
