# SPDX-License-Identifier: GPL-2.0
"""Stresses probes in a guest with two CPUs, in one with four, and with CPUs that run concurrently.

`make test` runs the short form. `make stress MINUTES=N` loads and unloads the modules a thousand
times and probes every function of the kernel; its timed tests share N minutes.
"""
import os
import sys

import kernels

# The number of tests in stress.py that run for SECONDS.
TIMED = 15
SHORT = {"rounds": 25, "seconds": 2, "every": 100}
# Attaching to all functions takes the debug kernel minutes. `make test-all` does that, too.
SHORT_ON_DEBUG = {"rounds": 10, "seconds": 2, "every": 0}


def form(bench):
    """stress.py's arguments, the time limit in seconds, and whether this is the long form."""
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


# How another module makes the kernel unable to disarm our probe, or ftrace disable itself, and the
# files whose code warns. The kernel must report nothing else.
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
        results.verdict(f"intruder: {how}", outcome, counted=True)


def races(bench, results):
    """Checks the counts with CPUs that run concurrently."""
    bench.build("tests/stress")
    _, limit, long = form(bench)
    bench.ktap(results, "races on 8 CPUs", "races.py", str(1_000_000 if long else 50_000),
               limit=limit, cpus=8, threads="multi")
