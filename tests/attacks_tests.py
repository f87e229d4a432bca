# SPDX-License-Identifier: GPL-2.0
"""Makes the attacks of tests/attacks: those that are refused or harmless one after
the other in one guest, some of them on four CPUs that really run at once, and
those that the kernel stops or tells of in a guest each.

With ATTACKS='FILE/CASE ...' only those, or all where it is empty, and the results as
they come."""
import os
import sys

import deliberate
import guest

sys.path.append(str(guest.ROOT / "tests/guest"))

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
    outcome = guest.run(
        bench.kdir,
        ["/usr/bin/env", "PYTHONPATH=qemu", "/usr/bin/python3", "tests/guest/attacks.py", what,
         *(wanted if os.environ.get("ATTACKS") else ())],
        limit=600, accel=bench.accel, leaks=False, echo=echo if "ATTACKS" in os.environ else None, **options,
    )
    results.merge(f"attacks ({what})", outcome.output)
    results.guest(f"attacks ({what})", outcome, tells=True)


def alone(bench, results, case):
    """One that ends with a task, or with a complaint of the debug kernel."""
    outcome = guest.run(
        bench.kdir,
        ["/usr/bin/env", "PYTHONPATH=qemu", "/usr/bin/python3", "tests/guest/attacks.py", case.name],
        limit=60, accel=bench.accel, leaks=False,
    )
    deliberate.told(results, f"attacks: {case.name} is {case.outcome}", outcome, case.wanted,
                    "kernel BUG at " if case.outcome == "stopped" else "")


def run(bench, results):
    bench.build("tests/attacks")
    together(bench, results, "all")
    together(bench, results, "races", cpus=4, threads="multi")
    for case in chosen(cases.of(("stopped",))):
        alone(bench, results, case)
    for case in chosen(cases.of(("complains",))):
        if guest.has(bench.kdir, "DEBUG_ATOMIC_SLEEP"):
            alone(bench, results, case)
        else:
            results.say(f"# attacks: {case.name} left out, this kernel does not look")
