# SPDX-License-Identifier: GPL-2.0
"""Stresses probes in a guest of two CPUs, in one of four, and where CPUs really run at once.

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
    """The arguments of stress.py, its time limit in seconds, and whether this is the long form."""
    minutes = os.environ.get("MINUTES")
    if not minutes:
        short = SHORT_ON_DEBUG if kernels.is_debug(bench.kdir) else SHORT
        return {**short, "every": 100} if os.environ.get("ALL") else short, 600, False
    long = {"rounds": 1000, "seconds": float(minutes) * 60 / TIMED, "every": 1}
    return long, float(minutes) * 60 + 3600, True


def on(cpus):
    def run(bench, results):
        bench.build("tests/stress")
        asked, limit, long = form(bench)
        name = f"stress on {cpus} CPUs"

        def echo(line):
            print(f"# {name}: {line}", end="", file=sys.stderr, flush=True)

        bench.ktap(results, name, "stress.py", *map(str, asked.values()), limit=limit, cpus=cpus,
                   echo=echo if long else None)

    return run


# How the kernel becomes unable to disarm our probe, or ftrace disables itself, because of another
# module; and the files in which the kernel warns of that. It must do no more.
WAYS = {"disarm": ("kernel/kprobes.c",)} | dict.fromkeys(
    ("attached", "attaching"), ("arch/x86/kernel/ftrace.c", "kernel/trace/ftrace.c"))


def intruder(bench, results):
    bench.build("tests/stress")
    bench.build("samples")
    for how, warnings in WAYS.items():
        outcome = bench.run(["/usr/bin/python3", "tests/inside/intruder.py", how], limit=120)
        outcome.problems = [problem for problem in outcome.problems
                            if not any(f"WARNING: {file}:" in problem for file in warnings)]
        results.merge(f"intruder: {how}", outcome.output)
        results.verdict(f"intruder: {how}", outcome, tells=True)


def races(bench, results):
    """What the figures are worth if CPUs do not take turns."""
    bench.build("tests/stress")
    _, limit, long = form(bench)
    bench.ktap(results, "races on 8 CPUs", "races.py", str(1_000_000 if long else 50_000),
               limit=limit, cpus=8, threads="multi")
