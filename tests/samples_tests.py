# SPDX-License-Identifier: GPL-2.0
"""Runs every sample in one guest and compares its output with NAME.log.

A `.log` file may begin with `only: REGEX`, which ignores other lines. N is a number that differs
between runs, X a hexadecimal one; RANGE and BAR are the range and the bar of a histogram's bucket;
FRAMES is any part of a stack. Names of x86-64 (__x64_sys_, a register) also stand for those of
other architectures. A line may be repeated.
"""
import re

import kernels

SAMPLES = kernels.ROOT / "samples"


def pattern(line):
    """The regular expression for a line of a `.log` file."""
    parts = {"N": r"\d+", "X": r"[0-9a-f]+", "BAR": r"@* *", "FRAMES": r".*",
             "RANGE": r"\[\d+[KMGTPE]?(?:\]|, \d+[KMGTPE]?\)) *"}
    expression = "".join(
        parts.get(word, re.escape(word))
        for word in re.split(r"(\bN\b|\bX\b|(?<=0x)X\b|(?<=0o)N\b|\b(?:BAR|RANGE|FRAMES)\b)", line)
    )
    expression = expression.replace("__x64_sys_", "__(?:x64|arm64|riscv)_sys_")
    return expression.replace(r"before:\ result\ ", r"before:\ (?:result|link)\ ")


def once(lines):
    return [line for n, line in enumerate(lines) if n == 0 or lines[n - 1] != line]


def compare(name, said):
    """Compares a sample's log; returns notes, or nothing if the log is right."""
    wanted = (SAMPLES / f"{name}.log").read_text().splitlines()
    if wanted[0].startswith("only: "):
        only = re.compile(wanted.pop(0).removeprefix("only: "))
        said = [line for line in said if only.search(line)]
    # Consecutive lines that match the same pattern count once.
    rest = once(said)
    for line in wanted:
        if not rest or not re.fullmatch(pattern(line), rest[0]):
            got = rest[0] if rest else "nothing"
            return [f"wanted: {line}", f"got:    {got}", "all of it:", *said]
        rest.pop(0)
        while wanted.count(line) == 1 and rest and re.fullmatch(pattern(line), rest[0]):
            rest.pop(0)
    return [f"more than wanted: {line}" for line in rest]


def names():
    return sorted(path.stem for path in SAMPLES.glob("*.rs"))


def run(bench, results):
    bench.build("samples")
    outcome = bench.run(["qemu/inside/samples", *names()], limit=400)
    logs = dict(re.findall(r"^=== (\w+)\n((?:(?!===).*\n)*)", outcome.output, re.MULTILINE))
    for name in names():
        said = logs.get(name)
        if said is None:
            results.add(False, f"sample: {name} runs", ["no output"])
            continue
        notes = compare(name, said.splitlines())
        results.add(not notes, f"sample: {name} logs what {name}.log has", notes)
    if not kernels.is_debug(bench.kdir):
        bench.ktap(results, "bpftrace", "samples_bpftrace.py", limit=1500)
    results.verdict("sample", outcome)
    bench.ktap(results, "container", "samples_task.py", limit=120)
    # Compares its events with tracefs's, also by perf.
    bench.ktap(results, "sensor", "samples_sensor.py", limit=300, memory="2G")
