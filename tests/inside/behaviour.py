#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Tests the library on a kernel without KUnit, with probes of each kind through
/dev/stress. Prints KTAP.

usage: behaviour.py
"""
import ctypes
import errno
import os
import subprocess
import sys
import time

import arch
import kmod
from device import (AROUND, BEFORE, EXACT, FAULTS, FOLLOWED, HITS, IO_REFUSED, IO_USER, MISSED,
                    OPTIMIZED, READER, RETURNS, RETURN_SET, SET, TARGET, TRACED, WRONG, Device)
from fire import inside
from kmod import Skip, equal, kprobe_list

TARGET_FUNCTION, EXACT_FUNCTION = "stress:stress_target", "stress:stress_exact"
CALLS = 50


def hit_each_time(device, held, calls=CALLS):
    before = held.ask(HITS), held.ask(MISSED)
    device.call(TARGET, calls)
    equal((held.ask(HITS), held.ask(MISSED)), (before[0] + calls, before[1]))


def test_at_an_entry():
    with Device() as device:
        held = device.add(BEFORE, TARGET_FUNCTION)
        (line,) = kprobe_list()
        # If the function begins with ENDBR, the kernel puts the probe after it.
        equal("[FTRACE]" in line, arch.ENTRY == "ftrace", line)
        hit_each_time(device, held)
        held.drop()
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
            try:
                device.add(BEFORE, f"{function}+{offset}")
            except OSError as error:
                equal(errno.errorcode[error.errno], "EILSEQ", f"+{offset}")
            else:
                raise AssertionError(f"+{offset} was taken")
        # They are at the same address: one is dropped, the other stays.
        behind.drop()
        arch.syscall("getpriority", 0, 0)
        equal(at.ask(HITS), CALLS + 1)
        at.drop()


def test_inside():
    with Device() as device:
        held = device.add(BEFORE, inside(device, TARGET_FUNCTION))
        hit_each_time(device, held)
        held.drop()


def test_inside_by_a_jump():
    if arch.ENTRY != "ftrace":
        raise Skip("this architecture has no jump optimisation")
    with Device() as device:
        held = device.add(BEFORE, inside(device, TARGET_FUNCTION))
        end = time.monotonic() + 30
        while not held.ask(OPTIMIZED):
            if time.monotonic() > end:
                raise AssertionError(f"not optimised: {kprobe_list()}")
            time.sleep(0.1)
        hit_each_time(device, held)
        held.drop()


def test_before_and_after():
    with Device() as device:
        for place in (TARGET_FUNCTION, inside(device, TARGET_FUNCTION)):
            held = device.add(AROUND, place)
            hit_each_time(device, held)
            equal(held.ask(RETURNS), CALLS, place)
            held.drop()


def test_entry_and_return():
    """The handlers compare the data from the entry with the call."""
    with Device() as device:
        held = device.add(FOLLOWED, TARGET_FUNCTION, max_active=8)
        hit_each_time(device, held)
        equal((held.ask(RETURNS), held.ask(WRONG)), (CALLS, 0))
        held.drop()


def test_disabled_and_enabled():
    with Device() as device:
        held = device.add(BEFORE, TARGET_FUNCTION)
        held.enable(False)
        device.call(TARGET, CALLS)
        equal(held.ask(HITS), 0)
        held.enable(True)
        hit_each_time(device, held)
        held.drop()


def test_sets():
    with Device() as device:
        for kind in (SET, RETURN_SET):
            held = device.add(kind, TARGET_FUNCTION, EXACT_FUNCTION, max_active=8)
            before = held.ask(HITS)
            device.call(TARGET, CALLS)
            device.call(EXACT, CALLS)
            equal(held.ask(HITS), before + 2 * CALLS, f"kind {kind}")
            held.drop()


def test_a_set_with_a_member_that_is_refused():
    with Device() as device:
        try:
            device.add(SET, TARGET_FUNCTION, "no_such_function")
        except OSError as error:
            equal(errno.errorcode[error.errno], "ENOENT")
        else:
            raise AssertionError("it was taken")
        equal(device.ioctl(IO_REFUSED), 1)
    equal(kprobe_list(), [])


def test_strings_of_programs():
    string = ctypes.create_string_buffer(b"A" * 32)
    with Device() as device:
        held = device.add(READER, "stress:stress_user")
        device.ioctl(IO_USER, ctypes.addressof(string))
        equal((held.ask(HITS), held.ask(FAULTS), held.ask(WRONG)), (1, 0, 0))
        device.ioctl(IO_USER, 8)  # not mapped
        equal((held.ask(HITS), held.ask(FAULTS), held.ask(WRONG)), (2, 1, 0))
        held.drop()


def test_a_tracepoint():
    with Device() as device:
        held = device.add(TRACED, "sched_process_exec")
        before = held.ask(HITS)
        for _ in range(3):
            subprocess.run(["true"], check=True)
        if held.ask(HITS) < before + 3:
            raise AssertionError(f"{held.ask(HITS) - before} hits of 3")
        held.drop()


def test_a_module_that_nobody_signed_taints():
    with open("/proc/sys/kernel/tainted", encoding="ascii") as file:
        tainted = int(file.read())
    equal(bool(tainted & 1 << 12), True, "out of tree")
    if not os.path.exists("/sys/module/module/parameters/sig_enforce"):
        raise Skip("this kernel does not look at signatures")
    equal(bool(tainted & 1 << 13), True, "unsigned")


def main():
    tests = kmod.tests(globals())
    kmod.insmod("tests/stress/stress.ko")
    status = kmod.run("behaviour", tests, sys.argv[1:])
    kmod.rmmod("stress")
    return status


if __name__ == "__main__":
    sys.exit(main())
