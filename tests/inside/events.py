#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Trace events of tests/events, as tracefs, perf, trace-cmd and bpftrace have them.
Prints KTAP.

usage: events.py [--long] [WORD...]

On the debug kernel there are fewer rounds, unless it is --long. With words, only the
tests whose names have one of them.
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
