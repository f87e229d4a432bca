# SPDX-License-Identifier: GPL-2.0
"""Other modules make the kernel unable to disarm our probe, or ftrace disable itself.
The kernel warns of that, and must do no more."""


def make(bench, results, name, command, wanted, *warnings):
    """Runs a program that prints `ok: ` and each of `wanted`, while the kernel warns in
    the files `warnings`."""
    outcome = bench.run(command, limit=120)
    for said in wanted:
        results.add(f"ok: {said}\n" in outcome.output, f"{name}: {said}", [outcome.output])
    outcome.problems = [problem for problem in outcome.problems
                        if not any(f"WARNING: {file}:" in problem for file in warnings)]
    results.add(bool(outcome.output) and not outcome.problems,
                f"{name}: the kernel has nothing else to complain of", outcome.problems)


def run(bench, results):
    bench.build("tests/stress")
    bench.build("samples")
    make(bench, results, "intruder", ["tests/inside/intruder"],
         ("it says so", "it stays", "its handler runs", "others come and go",
          "no hung task is detected"), "kernel/kprobes.c")
    for when in ("attached", "attaching"):
        make(bench, results, f"intruder: {when}", ["tests/inside/dead_ftrace", when],
             ("ftrace has disabled itself", "it says so", "it stays", "the system works"),
             "arch/x86/kernel/ftrace.c", "kernel/trace/ftrace.c")
