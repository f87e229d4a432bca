# SPDX-License-Identifier: GPL-2.0
"""A module of safe code leaves probes behind, or drops one where nobody may wait.
What it leaves is found; the drop is stopped before anything is freed, in a guest
of its own."""
import deliberate

STOPPED = ("a probe is dropped in a handler, under a lock or where else one must not sleep; "
           "stopped before it is freed")


def run(bench, results):
    bench.build("tests/stress")
    bench.ktap(results, "mistakes", "mistakes.py", "leave", limit=120, leaks="ignored")
    for how in ("handler", "lock", "rcu", "tracepoint"):
        outcome = bench.run(["/usr/bin/python3", "tests/inside/mistakes.py", how],
                            limit=120, leaks="ignored")
        deliberate.told(results, f"mistakes: a drop is stopped: {how}", outcome,
                        f"stress_mistakes: {STOPPED}", "kernel BUG at ")
