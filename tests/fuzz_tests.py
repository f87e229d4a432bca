# SPDX-License-Identifier: GPL-2.0
"""Fuzzes the parser of `probes=` briefly; `make fuzz` takes longer."""
import re
import subprocess

import kernels

RUNS = 500_000


def output(*command):
    return subprocess.run(
        command, cwd=kernels.ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="backslashreplace",
    )


def run(bench, results):
    fuzz = output("tests/fuzz/run", str(RUNS))
    done = re.search(r"number_of_executed_units: (\d+)", fuzz.stdout)
    results.add(
        fuzz.returncode == 0 and done is not None and int(done[1]) >= RUNS,
        f"fuzz: the parser takes {RUNS} inputs as the grammar says",
        fuzz.stdout.splitlines()[-40:],
    )
    mistakes = output("tests/fuzz/mistakes")
    results.add(
        mistakes.returncode == 0,
        "fuzz: each mistake that is put into the parser is found",
        mistakes.stdout.splitlines()[-40:],
    )
