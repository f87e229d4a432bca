#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Stresses the probes in the guest, through /dev/stress and rust_kprobe.ko,
while every CPU keeps hitting them. Prints KTAP.

usage: stress.py ROUNDS SECONDS EVERY [TEST...]

ROUNDS is how often a module is loaded and unloaded, SECONDS how long each test
runs that has no rounds, and EVERY that each EVERYth function of the kernel is
probed; 0 leaves out the tests that are on all functions.

The rule of all of them: a probe that stays has seen each call, or says that it
missed it. The functions count their own calls.
"""
import sys

import kmod
import stress_entries
import stress_everything
import stress_in_flight
import stress_probes
from device import run
from stress_form import EVERY

# Tests in other files that are on all functions.
ON_ALL = ("all functions under fire", "a module leaves its entry probes")


def main():
    tests = []
    for part in stress_probes, stress_in_flight, stress_entries, stress_everything:
        tests += [(name, test) for name, test in kmod.tests(vars(part))
                  if EVERY or part is not stress_everything and name not in ON_ALL]
    return run(f"stress on {kmod.CPUS} CPUs", tests, sys.argv[4:])


if __name__ == "__main__":
    sys.exit(main())
