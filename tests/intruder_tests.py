# SPDX-License-Identifier: GPL-2.0
"""Other modules make the kernel unable to disarm our probe, or ftrace disable itself.
The kernel warns of that, and must do no more."""

# How, and the files in which the kernel warns.
WAYS = {"disarm": ("kernel/kprobes.c",)} | dict.fromkeys(
    ("attached", "attaching"), ("arch/x86/kernel/ftrace.c", "kernel/trace/ftrace.c"))


def run(bench, results):
    bench.build("tests/stress")
    bench.build("samples")
    for how, warnings in WAYS.items():
        outcome = bench.run(["/usr/bin/python3", "tests/inside/intruder.py", how], limit=120)
        outcome.problems = [problem for problem in outcome.problems
                            if not any(f"WARNING: {file}:" in problem for file in warnings)]
        results.merge(f"intruder: {how}", outcome.output)
        results.verdict(f"intruder: {how}", outcome, tells=True)
