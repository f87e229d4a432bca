# SPDX-License-Identifier: GPL-2.0
"""Trace events, with tracefs and with the tools of Debian that read them."""
import subprocess

import kernels


def run(bench, results):
    if bench.native:
        subprocess.run([kernels.ROOT / "scripts/packages", "linux-perf", "trace-cmd", "bpftrace"],
                       check=True)
    bench.build("tests/events")
    # bpftrace needs memory; the stream and the rounds need time where they are emulated.
    bench.ktap(results, "events", "events.py", limit=500, memory="2G")
