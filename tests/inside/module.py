#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Tests rust_kprobe.ko in the guest: loads it, triggers what it probes, and
compares the log with what README.md promises. Prints KTAP.

usage: module.py [TEST...]
"""
import sys

import kmod
import module_lines
import module_loads
import module_places
import module_refusals


def main():
    tests = []
    for part in (module_lines, module_loads, module_places):
        tests += kmod.tests(vars(part))
    return kmod.run("module", tests + module_refusals.TESTS, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
