# SPDX-License-Identifier: GPL-2.0
"""Makes the attacks of tests/attacks: those that are refused or harmless one after
the other in one guest, some of them on four CPUs that really run at once, and
those that the kernel stops or tells of in a guest each.

With ATTACKS='FILE/CASE ...' only those, or all where it is empty, and the results as
they come."""
import os
import sys

import deliberate
import kernels

sys.path.append(str(kernels.ROOT / "tests/inside"))

import cases


def chosen(found):
    """Those that ATTACKS names, or all."""
    wanted = os.environ.get("ATTACKS", "").split()
    return [case for case in found if not wanted or case.name in wanted]


def echo(line):
    print("# attacks:", line, end="", file=sys.stderr, flush=True)


def together(bench, results, what, **options):
    wanted = [case.name for case in chosen(cases.of(("harmless", "refused")))
              if what == "all" or case.races]
    if not wanted:
        return
    bench.ktap(results, f"attacks ({what})", "attacks.py", what,
               *(wanted if os.environ.get("ATTACKS") else ()),
               limit=600, leaks="watched", echo=echo if "ATTACKS" in os.environ else None, **options)


def alone(bench, results, case):
    """One that ends with a task, or with a complaint of the debug kernel."""
    outcome = bench.run(["/usr/bin/python3", "tests/inside/attacks.py", case.name],
                        limit=120, leaks="ignored")
    deliberate.told(results, f"attacks: {case.name} is {case.outcome}", outcome, case.wanted,
                    "kernel BUG at " if case.outcome == "stopped" else "")


def run(bench, results):
    bench.build("tests/attacks")
    together(bench, results, "all")
    together(bench, results, "races", cpus=4, threads="multi")
    for case in chosen(cases.of(("stopped",))):
        alone(bench, results, case)
    for case in chosen(cases.of(("complains",))):
        if bench.has("DEBUG_ATOMIC_SLEEP"):
            alone(bench, results, case)
        else:
            results.say(f"# attacks: {case.name} left out, this kernel does not look")
