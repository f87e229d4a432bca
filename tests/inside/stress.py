#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Stresses probes in the guest, by /dev/stress and rust_kprobe.ko, while every CPU hits them.
Prints KTAP.

usage: stress.py ROUNDS SECONDS EVERY [TEST...]

ROUNDS is how often a module is loaded and unloaded; SECONDS is the duration of a test without
rounds. Each EVERYth function of the kernel is probed; 0 skips the tests on all functions.

In all tests, the functions count their own calls, and a probe that stays registered must have
counted each call as a hit or as missed.
"""
import sys

import kmod
import stress_entries
import stress_everything
import stress_in_flight
import stress_probes
from device import run
from stress_form import EVERY

# Tests on all functions in other files.
ON_ALL = (stress_entries.test_entry_probes_on_all_functions_are_registered_and_dropped_under_load,
          stress_entries.test_entry_probes_are_gone_when_their_module_is_unloaded)


def main():
    tests = []
    for part in stress_probes, stress_in_flight, stress_entries, stress_everything:
        tests += [(name, test) for name, test in kmod.tests(vars(part))
                  if EVERY or part is not stress_everything and test not in ON_ALL]
    return run(f"stress on {kmod.CPUS} CPUs", tests, sys.argv[4:])


if __name__ == "__main__":
    sys.exit(main())
