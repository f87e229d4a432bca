# SPDX-License-Identifier: GPL-2.0
"""Runs every sample in one guest, and compares its log with the one beside it.

A `.log` file may begin with `only: REGEX`: lines of others are left out then.
Numbers that differ from run to run stand as N, hexadecimal ones as X, and a
bar of a histogram as BAR. A line that stands there once may come several times
in a row.
"""
import re
import subprocess
import sys

import guest

SAMPLES = guest.ROOT / "samples"


def pattern(line):
    """The regular expression for a line of a `.log` file."""
    parts = {"N": r"\d+", "X": r"[0-9a-f]+", "BAR": r"@* *"}
    return "".join(
        parts.get(word, re.escape(word)) for word in re.split(r"\b(N|X|BAR)\b", line)
    )


def once(lines):
    return [line for n, line in enumerate(lines) if n == 0 or lines[n - 1] != line]


def compare(name, said):
    """What is wrong with the log of a sample, as notes; nothing where it is right."""
    wanted = (SAMPLES / f"{name}.log").read_text().splitlines()
    if wanted[0].startswith("only: "):
        only = re.compile(wanted.pop(0).removeprefix("only: "))
        said = [line for line in said if only.search(line)]
    # Lines that match the same pattern, one after the other, count once.
    rest = once(said)
    for line in wanted:
        if not rest or not re.fullmatch(pattern(line), rest[0]):
            return [f"wanted: {line}", f"got:    {rest[0] if rest else 'nothing'}", "all of it:", *said]
        rest.pop(0)
        while wanted.count(line) == 1 and rest and re.fullmatch(pattern(line), rest[0]):
            rest.pop(0)
    return [f"more than wanted: {line}" for line in rest]


def names():
    return sorted(path.stem for path in SAMPLES.glob("*.rs"))


def run(bench, results):
    subprocess.run(
        [guest.ROOT / "scripts/build", "-C", SAMPLES], check=True, stdout=subprocess.DEVNULL
    )
    outcome = guest.run(
        bench.kdir, ["qemu/guest/samples", *names()], limit=240, accel=bench.accel
    )
    logs = dict(re.findall(r"^=== (\w+)\n((?:(?!===).*\n)*)", outcome.output, re.MULTILINE))
    for name in names():
        said = logs.get(name)
        if said is None:
            results.add(False, f"sample: {name}", ["it did not run"])
            continue
        notes = compare(name, said.splitlines())
        results.add(not notes, f"sample: {name}", notes)
    results.add(outcome.ok, "sample: the kernel has nothing to complain of", outcome.problems)
    if not outcome.ok:
        outcome.report(sys.stdout)
