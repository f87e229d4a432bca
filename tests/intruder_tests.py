# SPDX-License-Identifier: GPL-2.0
"""Another module makes the kernel unable to disarm our probe. It warns of that, and
must do no more."""


def run(bench, results):
    bench.build("tests/stress")
    outcome = bench.run(["tests/inside/intruder"], limit=120)
    for said in ("it says so", "it stays", "its handler runs", "others come and go"):
        results.add(f"ok: {said}\n" in outcome.output, f"intruder: {said}", [outcome.output])
    outcome.problems = [p for p in outcome.problems if "WARNING: kernel/kprobes.c:" not in p]
    results.add(bool(outcome.output) and not outcome.problems,
                "intruder: the kernel has nothing else to complain of", outcome.problems)
