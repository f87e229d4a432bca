# SPDX-License-Identifier: GPL-2.0
"""Stresses probes in a guest of two CPUs, in one of four, and where CPUs really
run at once.

In `make test`, this is the short form. With `make stress MINUTES=N`, the modules are
loaded and unloaded a thousand times, every function of the kernel is probed, and the
timed tests share N minutes.
"""
import os
import sys

import kernels

# How many tests of stress.py go on for SECONDS.
TIMED = 15
SHORT = {"rounds": 25, "seconds": 2, "every": 100}
# Attaching to all functions takes the debug kernel minutes; `make test-all` does that, too.
SHORT_ON_DEBUG = {"rounds": 10, "seconds": 2, "every": 0}


def form(bench):
    """The arguments of stress.py, its time limit in seconds, and whether this is the
    long form."""
    minutes = os.environ.get("MINUTES")
    if not minutes:
        short = SHORT_ON_DEBUG if kernels.is_debug(bench.kdir) else SHORT
        return {**short, "every": 100} if os.environ.get("ALL") else short, 600, False
    long = {"rounds": 1000, "seconds": float(minutes) * 60 / TIMED, "every": 1}
    return long, float(minutes) * 60 + 3600, True


def on(cpus):
    """The suite on that many CPUs."""
    def run(bench, results):
        bench.build("tests/stress")
        asked, limit, long = form(bench)
        name = f"stress on {cpus} CPUs"

        def echo(line):
            print(f"# {name}: {line}", end="", file=sys.stderr, flush=True)

        bench.ktap(results, name, "stress.py", *map(str, asked.values()), limit=limit, cpus=cpus,
                   echo=echo if long else None)

    return run


def races(bench, results):
    """What the figures are worth if CPUs do not take turns."""
    bench.build("tests/stress")
    _, limit, long = form(bench)
    bench.ktap(results, "races on 4 CPUs", "races.py", str(2_000_000 if long else 100_000),
               limit=limit, cpus=4, threads="multi")
