# SPDX-License-Identifier: GPL-2.0
"""Runs the attacks of tests/attacks. Those that are refused or harmless run one after the other
in one guest; some of them also run on four CPUs concurrently. Each attack that the kernel stops
or reports runs in a guest of its own.

ATTACKS='FILE FILE/CASE ...' selects attacks; if it is empty, all run. With ATTACKS, results are
printed immediately."""
import os
import sys

import kernels

sys.path.append(str(kernels.ROOT / "tests/inside"))

import attacks_cases


def echo(line):
    print("# attacks:", line, end="", file=sys.stderr, flush=True)


def run_in_one_guest(bench, results, what, names, **options):
    cases = attacks_cases.of(("harmless", "refused"), names)
    if any(case.races or what == "all" for case in cases):
        bench.ktap(results, f"attacks ({what})", "attacks.py", what, *names, limit=600,
                   leaks="watched", echo=echo if "ATTACKS" in os.environ else None, **options)


def run_in_own_guest(bench, results, case):
    """Runs an attack that ends with a BUG() or with a report of the debug kernel."""
    outcome = bench.run(["/usr/bin/python3", "tests/inside/attacks.py", case.name],
                        limit=120, leaks="ignored")
    results.deliberate(f"attacks: {case.name} is {case.outcome}", outcome, case.wanted,
                       "kernel BUG at " if case.outcome == "stopped" else "")


def run(bench, results):
    names = os.environ.get("ATTACKS", "").split()
    for name in names:
        if not any(case.is_one_of([name]) for case in attacks_cases.cases()):
            results.add(False, f"attacks: unknown case {name}")
    bench.build("tests/attacks")
    bench.build("tests/stress")
    run_in_one_guest(bench, results, "all", names)
    run_in_one_guest(bench, results, "races", names, cpus=4, threads="multi")
    for case in attacks_cases.of(("stopped", "complains"), names):
        if case.outcome == "stopped" or bench.has("DEBUG_ATOMIC_SLEEP"):
            run_in_own_guest(bench, results, case)
        else:
            results.say(f"# attacks: {case.name} skipped: the kernel has no DEBUG_ATOMIC_SLEEP")
