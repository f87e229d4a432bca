# SPDX-License-Identifier: GPL-2.0
"""Tests the parser of `probes=` on this machine: runs tests/parser.rs, and a short fuzzing."""
import re
import subprocess

import kernels
from workbench import output

RUNS = 500_000


def run(bench, results):
    binary = kernels.CACHE / "tests-parser"
    subprocess.run(
        [bench.rustc, "--edition=2021", "--test", "-o", binary, kernels.ROOT / "tests/parser.rs"],
        check=True,
    )
    tests = subprocess.run([binary, "--test-threads=1"], stdout=subprocess.PIPE, text=True)
    found = re.findall(r"^test (\S+) \.\.\. (\w+)$", tests.stdout, re.MULTILINE)
    for name, verdict in found:
        results.add(verdict == "ok", f"parser: {name.replace('_', ' ')}")
    if not found or (tests.returncode != 0) != any(v != "ok" for _, v in found):
        results.add(False, "parser: the tests complete", tests.stdout.splitlines()[-20:])


def fuzz(bench, results):
    fuzzed = output(["tests/fuzz/run", str(RUNS)])
    done = re.search(r"number_of_executed_units: (\d+)", fuzzed.stdout)
    results.add(fuzzed.returncode == 0 and done is not None and int(done[1]) >= RUNS,
                f"fuzz: the parser handles {RUNS} random inputs as the grammar requires",
                fuzzed.stdout.splitlines()[-40:])
    mistakes = output(["tests/fuzz/mistakes"])
    results.add(mistakes.returncode == 0, "fuzz: each bug inserted into the parser is found",
                mistakes.stdout.splitlines()[-40:])
