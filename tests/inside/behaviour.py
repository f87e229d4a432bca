#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Tests the library on a kernel without KUnit, with probes of each kind through
/dev/stress. Prints KTAP.

usage: behaviour.py [TEST...]
"""
import ctypes
import os
import subprocess
import sys

import arch
import kmod
from device import (AROUND, AT, BEFORE, EXACT, FAULTS, FOLLOWED, HITS, IO_REFUSED, IO_USER, MISSED,
                    OPTIMIZED, READER, RETURNS, RETURN_SET, SET, TARGET, TRACED, USER, WRONG,
                    Device, run)
from kmod import Skip, check, equal, kprobe_list, read, refused, until

PLACE = AT[TARGET]
CALLS = 50


def hit_each_time(held, which=TARGET, calls=CALLS):
    hits, missed = held.ask(HITS, MISSED)
    held.device.call(which, calls)
    equal(held.ask(HITS, MISSED), (hits + calls, missed))


def test_at_an_entry():
    with Device() as device:
        held = device.add(BEFORE, PLACE)
        (line,) = kprobe_list()
        # If the function begins with ENDBR, the kernel puts the probe after it.
        equal("[FTRACE]" in line, arch.ENTRY == "ftrace", line)
        hit_each_time(held)
    equal(kprobe_list(), [])


def test_behind_the_endbr_of_an_entry():
    function = arch.handler_of("getpriority")
    if not arch.begins_with_endbr(function):
        raise Skip("functions do not begin with ENDBR here")
    with Device() as device:
        at, behind = device.add(BEFORE, function), device.add(BEFORE, f"{function}+4")
        for _ in range(CALLS):
            arch.syscall("getpriority", 0, 0)
        equal((at.ask(HITS), behind.ask(HITS)), (CALLS, CALLS))
        for offset in (1, 3, 5, 8):
            refused("EILSEQ", device.add, BEFORE, f"{function}+{offset}")
        # They are at the same address: one is dropped, the other stays.
        behind.drop()
        arch.syscall("getpriority", 0, 0)
        equal(at.ask(HITS), CALLS + 1)


def test_inside_by_a_jump():
    with Device() as device:
        held = device.add(BEFORE, arch.inside(PLACE))
        hit_each_time(held)
        if arch.ENTRY != "ftrace":
            raise Skip("this architecture has no jump optimisation")
        until(lambda: held.ask(OPTIMIZED), "the optimisation", 30)
        hit_each_time(held)


def test_before_and_after():
    with Device() as device:
        for place in PLACE, arch.inside(PLACE):
            held = device.add(AROUND, place)
            hit_each_time(held)
            equal(held.ask(RETURNS), CALLS, place)
            held.drop()


def test_entry_and_return():
    """The handlers compare the data from the entry with the call."""
    with Device() as device:
        held = device.add(FOLLOWED, PLACE, max_active=8)
        hit_each_time(held)
        equal(held.ask(RETURNS, WRONG), (CALLS, 0))


def test_disabled_and_enabled():
    with Device() as device:
        held = device.add(BEFORE, PLACE)
        held.enable(False)
        device.call(TARGET, CALLS)
        equal(held.ask(HITS), 0)
        held.enable(True)
        hit_each_time(held)


def test_sets():
    with Device() as device:
        for kind in SET, RETURN_SET:
            held = device.add(kind, PLACE, AT[EXACT], max_active=8)
            for which in TARGET, EXACT:
                hit_each_time(held, which)
            held.drop()


def test_a_set_with_a_member_that_is_refused():
    with Device() as device:
        refused("ENOENT", device.add, SET, PLACE, "no_such_function")
        equal(device.ioctl(IO_REFUSED), 1)
    equal(kprobe_list(), [])


def test_strings_of_programs():
    string = ctypes.create_string_buffer(b"A" * 32)
    with Device() as device:
        held = device.add(READER, AT[USER])
        # The second is not mapped.
        for address, wanted in (ctypes.addressof(string), (1, 0, 0)), (8, (2, 1, 0)):
            device.ioctl(IO_USER, address)
            equal(held.ask(HITS, FAULTS, WRONG), wanted)


def test_a_tracepoint():
    with Device() as device:
        held = device.add(TRACED, "sched_process_exec")
        before = held.ask(HITS)
        for _ in range(3):
            subprocess.run(["true"], check=True)
        check(held.ask(HITS) >= before + 3, f"{held.ask(HITS) - before} hits of 3")


def test_a_module_that_nobody_signed_taints():
    tainted = int(read("/proc/sys/kernel/tainted"))
    check(tainted & 1 << 12, "out of tree")
    if not os.path.exists("/sys/module/module/parameters/sig_enforce"):
        raise Skip("this kernel does not look at signatures")
    check(tainted & 1 << 13, "unsigned")


if __name__ == "__main__":
    sys.exit(run("behaviour", kmod.tests(globals()), sys.argv[1:]))
