#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Makes each allocation fail while a module is loaded or a probe or a set is
registered: the first, the second, and so on, until none is left. No failure may
leave anything behind. For the debug kernel. Prints KTAP.

usage: faults.py [TEST...]
"""
import collections
import functools
import os
import shutil
import sys

import kmod
from device import (AROUND, AT, BEFORE, COLLECT_ENTRY, ENTRY, ENTRY_SET, EXACT, FOLLOWED, INNER,
                    IO_DRAIN, IRQ, MATCHING, RETURN_SET, SET, SOFTIRQ, TARGET, TRACED, Device,
                    collected, refused_member, run)
from kmod import check, equal, kprobe_list, probes, write

FAILSLAB = "/sys/kernel/debug/failslab"
PLACES = [AT[which] for which in (TARGET, EXACT, INNER, IRQ, SOFTIRQ)]


def nothing_left():
    equal(kprobe_list(), [])
    equal(kmod.is_loaded("rust_kprobe"), False)


def inject(action, undo, then=nothing_left, at_least=1):
    """Runs `action` with its first allocation failing, then with its second, until there is none
    left. It fails with nothing but ENOMEM, and as often as `at_least`."""
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
                failed[kmod.errno_name(result)] += 1
                then()
                check(not left, f"{result} at {n}, although no allocation failed: {left} left, "
                      f"{failed}, {survived}")
                continue
            undo(result)
            then()
            if left:
                break
            survived += 1
        else:
            raise AssertionError("allocation failures do not end")
    finally:
        os.close(nth)
    equal([name for name in failed if name != "ENOMEM"], [])
    check(failed["ENOMEM"] >= at_least, f"{failed} failures, {survived} survived")
    return f"{failed['ENOMEM']} times ENOMEM, {survived} failures without effect"


def of_module(definitions):
    # Failures while it is read through 9p would break the root file system.
    copy = shutil.copy("rust_kprobe.ko", "/tmp/rust_kprobe.ko")
    return inject(lambda: kmod.insmod(copy, definitions), lambda _: kmod.rmmod("rust_kprobe"),
                  at_least=20)


def of_probe(kind, *places):
    def drop(held):
        # It works.
        if PLACES[0] in places:
            before = held.seen()
            device.call(TARGET, 3)
            equal(held.seen(), before + 3)
        held.drop()

    with Device() as device:
        return inject(lambda: device.add(kind, *places), drop)


def of_drain():
    """The maps that could not be drained lose nothing."""
    with Device() as device:
        device.add(COLLECT_ENTRY, PLACES[0])
        return inject(lambda: device.ioctl(IO_DRAIN, 1), lambda _: None,
                      lambda: (device.call(TARGET, 10), collected(device)))


def kth_member():
    """The members before it are already registered when it is refused."""
    refused = set()

    def then():
        nothing_left()
        refused.add(refused_member())

    with Device() as device:
        inject(lambda: device.add(SET, *PLACES), lambda held: held.drop(), then)
    check(len(refused) >= 3, f"only members {refused} were refused")
    return f"members {', '.join(map(str, sorted(refused)))}"


OF_EACH_KIND = probes("p:a kernel_clone; r8:b kernel_clone; p:c do_exit+0; r:d do_exit")
TESTS = {
    "a kprobe without memory is refused cleanly": (of_probe, BEFORE, PLACES[0]),
    "a kprobe with a post handler without memory is refused cleanly": (of_probe, AROUND, PLACES[0]),
    "a kretprobe without memory is refused cleanly": (of_probe, FOLLOWED, PLACES[0]),
    "a set of kprobes without memory is refused cleanly": (of_probe, SET, *PLACES),
    "a set of kretprobes without memory is refused cleanly": (of_probe, RETURN_SET, *PLACES),
    "a tracepoint without memory is refused cleanly": (of_probe, TRACED, "sched_process_exec"),
    "an entry probe without memory is refused cleanly": (of_probe, ENTRY, PLACES[0]),
    "a set of entry probes without memory is refused cleanly": (of_probe, ENTRY_SET, *PLACES),
    "a set by pattern without memory is refused cleanly": (of_probe, MATCHING, "stress_*"),
    "draining a map without memory loses nothing": (of_drain,),
    "insmod without memory fails cleanly": (of_module, ""),
    "insmod of all kinds without memory fails cleanly": (of_module, OF_EACH_KIND),
    "a set without memory for one member registers nothing": (kth_member,),
}


if __name__ == "__main__":
    write(f"{FAILSLAB}/ignore-gfp-wait", "N")
    write(f"{FAILSLAB}/verbose", 0)
    tests = [(name, functools.partial(*what)) for name, what in TESTS.items()]
    sys.exit(run("faults", tests, sys.argv[1:]))
