# SPDX-License-Identifier: GPL-2.0
"""Trace events, with tracefs and with the tools of Debian that read them. On the debug
kernel this is the short form; with MINUTES= it is the long one there, too."""
import os


def run(bench, results):
    bench.build("tests/events")
    # For stress_late.ko.
    bench.build("tests/stress")
    # bpftrace needs memory; the stream and the rounds need time where they are emulated.
    long = ["--long"] if os.environ.get("MINUTES") else []
    bench.ktap(results, "events", "events.py", *long, limit=1000 if long else 500, memory="2G")
