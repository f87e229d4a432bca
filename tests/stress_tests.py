# SPDX-License-Identifier: GPL-2.0
"""Runs tests/guest/stress.py in a guest with two CPUs, and in one with four.

In `make test`, this is the short form. With `make stress MINUTES=N`, the modules are
loaded and unloaded a thousand times, every function of the kernel is probed, and the
timed tests share N minutes.
"""
import os
import sys

import deliberate
import guest

# The number of tests of stress.py that run for SECONDS.
TIMED = 9
SHORT = {"rounds": 25, "seconds": 2, "every": 100}


def form():
    """The arguments of stress.py, its time limit in seconds, and whether this is the
    long form."""
    minutes = os.environ.get("MINUTES")
    if not minutes:
        return SHORT, 300, False
    long = {"rounds": 1000, "seconds": float(minutes) * 60 / TIMED, "every": 1}
    return long, float(minutes) * 60 + 3600, True


def on(cpus):
    """The suite on that many CPUs."""
    def run(bench, results):
        bench.build("tests/stress")
        asked, limit, long = form()
        name = f"stress on {cpus} CPUs"

        def echo(line):
            print(f"# {name}: {line}", end="", file=sys.stderr, flush=True)

        outcome = guest.run(
            bench.kdir,
            ["/usr/bin/python3", "tests/guest/stress.py", *map(str, asked.values())],
            limit=limit,
            accel=bench.accel,
            cpus=cpus,
            echo=echo if long else None,
        )
        results.merge(name, outcome.output)
        results.guest(name, outcome, tells=True)

    return run


def races(bench, results):
    """What the figures are worth if CPUs do not take turns."""
    bench.build("tests/stress")
    calls = 2_000_000 if form()[2] else 100_000
    outcome = guest.run(
        bench.kdir, ["/usr/bin/python3", "tests/guest/races.py", str(calls)],
        limit=form()[1], accel=bench.accel, cpus=4, threads="multi",
    )
    results.merge("races on 4 CPUs", outcome.output)
    results.guest("races on 4 CPUs", outcome, tells=True)


def intruder(bench, results):
    """Another module makes the kernel unable to disarm our probe. The kernel warns,
    and nothing else may happen."""
    bench.build("tests/stress")
    outcome = guest.run(bench.kdir, ["tests/guest/intruder"], limit=60, accel=bench.accel)
    for said in ("it says so", "it stays", "its handler runs", "others come and go"):
        results.add(f"ok: {said}\n" in outcome.output, f"intruder: {said}", [outcome.output])
    outcome.problems = [p for p in outcome.problems if "WARNING: kernel/kprobes.c:" not in p]
    results.add(bool(outcome.output) and not outcome.problems,
                "intruder: the kernel has nothing else to complain of", outcome.problems)


STOPPED = ("a probe is dropped in a handler, under a lock or where else one must not sleep; "
           "stopped before it is freed")


def mistakes(bench, results):
    """A module without `unsafe` leaves probes behind, or drops one where it must not
    wait. What it leaves is unregistered. The drop, in a guest of its own, is stopped
    before anything is freed."""
    bench.build("tests/stress")
    command = ["/usr/bin/python3", "tests/guest/mistakes.py"]
    outcome = guest.run(bench.kdir, [*command, "leave"], limit=60, accel=bench.accel, leaks=False)
    results.merge("mistakes", outcome.output)
    results.guest("mistakes", outcome)
    for how in ("handler", "lock", "rcu", "tracepoint"):
        outcome = guest.run(bench.kdir, [*command, how], limit=60, accel=bench.accel, leaks=False)
        deliberate.told(results, f"mistakes: a drop is stopped: {how}", outcome,
                        f"stress_mistakes: {STOPPED}", "kernel BUG at ")
