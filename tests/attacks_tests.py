# SPDX-License-Identifier: GPL-2.0
"""Makes the attacks of tests/attacks: those that are refused or harmless one after
the other in one guest, some of them on four CPUs that really run at once, and
those that the kernel stops or tells of in a guest each."""
import os
import re
import sys

import guest

sys.path.append(str(guest.ROOT / "tests/guest"))

import cases

# What may not come with a BUG() that was meant.
DAMAGE = re.compile(r"KASAN|Unable to handle|page fault|general protection|double fault|"
                    r"list_(add|del) corruption|refcount_t")


def chosen(found):
    """Those that ATTACKS names, separated by spaces, or all."""
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
        limit=600, accel=bench.accel, leaks=False, echo=echo if os.environ.get("V") else None, **options,
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
    console = outcome.console
    told = re.search(case.wanted, console) is not None
    if case.outcome == "stopped":
        told = told and "kernel BUG at " in console
    results.add(told, f"attacks: {case.name} is told: {case.outcome}", console.splitlines()[-40:])
    damage = [line for line in guest.faults(console) if DAMAGE.search(line)]
    results.add(not damage, f"attacks: {case.name} does no damage", damage)


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
