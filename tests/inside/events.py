#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The trace events of tests/events, by tracefs, perf, trace-cmd and bpftrace. Prints KTAP.

usage: events.py [--long] [WORD...]

Runs tests whose names contain one of the words. --long is for the debug kernel.
"""
import sys

import events_arming
import events_records
import events_rounds
import kmod


def main():
    kmod.mount_tracing()
    kmod.write("/proc/self/comm", "python3")
    tests = []
    for part in (events_records, events_arming, events_rounds):
        tests += kmod.tests(vars(part))
    return kmod.run("events", tests, [word for word in sys.argv[1:] if word != "--long"])


if __name__ == "__main__":
    sys.exit(main())
