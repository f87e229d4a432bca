# SPDX-License-Identifier: GPL-2.0
"""Trace events, by tracefs and tools. MINUTES= runs the long form on the debug kernel, too."""
import os


def run(bench, results):
    bench.build("tests/events")
    # For stress_late.ko.
    bench.build("tests/stress")
    # bpftrace needs memory; the stream and the rounds need time under emulation.
    long = ["--long"] if os.environ.get("MINUTES") else []
    bench.ktap(results, "events", "events.py", *long, limit=1000 if long else 500, memory="2G")
