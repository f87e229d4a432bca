#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Makes mistakes with probes in the guest, with tests/stress/stress_mistakes.ko.

usage: mistakes.py leave | MISTAKE

`leave` leaves probes behind in all ways and prints KTAP. MISTAKE is one that is
stopped by BUG().
"""
import errno
import os
import subprocess
import sys

import kmod
from kmod import equal, kprobe_list, log, match_lines

MODULE = "tests/stress/stress_mistakes.ko"
PLACE, OTHER = (rf"__\w+_sys_{name}priority\+0x[04]/\S+" for name in ("get", "set"))
ONE_OF_EACH = [
    r"left registered: a watch for modules that go; unregistered now",
    r"left registered: a handler at the tracepoint kmalloc; unregistered now",
    rf"left registered: 2 at {PLACE}; unregistered now",
    rf"left registered: 2 at {PLACE}; unregistered now",
    *3 * [rf"left registered: 1 at {PLACE}; unregistered now"],
]


def hit():
    """Calls the functions that were probed, and allocates memory."""
    for _ in range(100):
        os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    subprocess.run(["/bin/true"], check=True)


def left(how, *lines):
    """Loads and unloads it; what it left is reported and unregistered."""
    with log("stress_mistakes") as kmsg:
        kmod.insmod(MODULE, f"how={how}".encode())
        hit()
        kmod.rmmod("stress_mistakes")
        match_lines(kmsg.lines(), lines)
    equal(kprobe_list(), [])
    hit()


def test_forgotten():
    for _ in range(3):
        left("forget", *ONE_OF_EACH)


def test_in_a_static():
    left("static", rf"left registered: 1 at {PLACE}; unregistered now")


def test_by_an_init_that_fails():
    with log("stress_mistakes") as kmsg:
        try:
            kmod.insmod(MODULE, b"how=init")
        except OSError as error:
            equal(error.errno, errno.EIO)
        else:
            raise AssertionError("it was loaded")
        match_lines(kmsg.lines(), ONE_OF_EACH)
    equal(kprobe_list(), [])
    hit()


def test_nothing():
    with log("stress_mistakes") as kmsg:
        try:
            kmod.insmod(MODULE, b"how=nothing")
        except OSError as error:
            equal(error.errno, errno.EINVAL)
        equal(kmsg.lines(), [])


def main():
    if sys.argv[1] != "leave":
        kmod.check_lockdep()
        kmod.insmod(MODULE, f"how={sys.argv[1]}".encode())
        kmod.check_lockdep()
        hit()
        return 0
    return kmod.run("mistakes: left", kmod.tests(globals()))


if __name__ == "__main__":
    sys.exit(main())
