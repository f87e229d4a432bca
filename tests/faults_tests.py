# SPDX-License-Identifier: GPL-2.0
"""Runs tests/guest/faults.py and tests/guest/lockdown.py, which need the debug
kernel: no other lets an allocation fail when it is asked to, or trusts signed
modules only."""
import guest


def run(bench, results):
    bench.build("tests/stress")
    outcome = guest.run(
        bench.kdir, ["/usr/bin/python3", "tests/guest/faults.py"], limit=200, accel=bench.accel
    )
    results.merge("faults", outcome.output)
    results.guest("faults", outcome, tells=True)


def lockdown(bench, results):
    outcome = guest.run(
        bench.kdir,
        ["/usr/bin/python3", "tests/guest/lockdown.py", str(bench.kdir)],
        limit=60,
        accel=bench.accel,
        # kmemleak answers in debugfs.
        leaks=False,
    )
    results.merge("lockdown", outcome.output)
    results.guest("lockdown", outcome, tells=True)
