# SPDX-License-Identifier: GPL-2.0
"""Runs the unit tests of the parser of `probes=`, tests/parser.rs, on this machine."""
import re
import subprocess

import kernels


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
        results.add(False, "parser: its tests ran", tests.stdout.splitlines()[-20:])
