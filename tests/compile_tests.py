# SPDX-License-Identifier: GPL-2.0
"""Compiles every folder of modules from scratch, without warnings of a compiler or of modpost."""
import re
import tempfile
from pathlib import Path

from build_tests import clone

FOLDERS = {
    ".": "rust_kprobe.ko",
    "samples": "the samples",
    "tests/kunit": "the KUnit suites",
    "tests/stress": "the stress tests",
    "tests/attacks": "the attacks",
    "tests/events": "the modules with events",
    "tests/selftests": "the module for the kernel's selftests",
    "tests/consumer": "a module outside of the project",
    "bench": "the benchmarks",
}


def run(bench, results):
    with tempfile.TemporaryDirectory(prefix="rust_kprobe-") as name:
        folder = Path(name) / "clone"
        clone(folder)
        for place, what in FOLDERS.items():
            if place == "tests/kunit" and not bench.has("KUNIT"):
                results.say(f"# compile: {what} skipped: the kernel has no KUNIT")
                continue
            # objtool of Debian's kernel warns of the length of its symbols.
            if place == "tests/selftests" and not bench.own:
                continue
            if place == "bench" and not bench.native:
                results.say(f"# compile: {what} skipped: its C code is for another architecture")
                continue
            build = bench.make(folder / place, KPROBES=str(folder))
            made = list((folder / place).glob("*.ko"))
            warnings = re.findall(r"^.*\bwarning\b.*$", build.stdout, re.IGNORECASE | re.MULTILINE)
            # Doctor's own warnings are harmless, and are indented.
            warnings = [line for line in warnings if not line.startswith("  warning  ")]
            results.add(
                build.returncode == 0 and made and not warnings,
                f"compile: {what} without a warning",
                warnings[:20] or build.stdout.splitlines()[-20:],
            )
