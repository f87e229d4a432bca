# SPDX-License-Identifier: GPL-2.0
"""Runs tests/guest/faults.py, which needs the debug kernel: no other lets an
allocation fail when it is asked to."""
import guest


def run(bench, results):
    if not guest.is_debug(bench.kdir):
        results.say("# faults: this kernel cannot let an allocation fail; KERNEL=debug can")
        return
    bench.build("tests/stress")
    outcome = guest.run(
        bench.kdir,
        ["/usr/bin/python3", "tests/guest/faults.py", str(bench.kdir)],
        limit=200,
        accel=bench.accel,
    )
    results.merge("faults", outcome.output)
    results.guest("faults", outcome, tells=True)
