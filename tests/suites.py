# SPDX-License-Identifier: GPL-2.0
"""The table of suites: names, programs, and the kernels that they need.

A suite is a function `run(bench, results)`, which adds its results; by default that of
NAME_tests.py.
"""
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import harness_tests
import kernels
import parser_tests
import stress_tests


def program(name, file, *arguments, folders=(".",), **options):
    """A suite of one program in the guest. {kdir} in an argument is the kernel's folder."""
    def run(bench, results):
        for folder in folders:
            bench.build(folder)
        bench.ktap(results, name, file, *(a.format(kdir=bench.kdir) for a in arguments), **options)

    return run


@dataclass(frozen=True)
class Needs:
    """A condition on the bench, and the reason for skipping the suite otherwise."""

    condition: Callable
    otherwise: str


def option(name, otherwise):
    return Needs(lambda bench: bench.has(name), otherwise)


def own(otherwise):
    return Needs(lambda bench: bench.own, otherwise)


ANY = Needs(lambda bench: True, "")
ONCE = own("it does not depend on the kernel")


@dataclass(frozen=True)
class Suite:
    name: str
    needs: Needs = ANY
    function: Callable | None = None

    def run(self, bench, results):
        run = self.function or importlib.import_module(f"{self.name}_tests").run
        run(bench, results)


# In the order in which they start: the longest first, so that none runs alone at the end.
SUITES = {suite.name: suite for suite in (
    Suite("commands", ONCE),
    Suite("attacks", Needs(
        lambda bench: bench.native,
        "it expects addresses and errnos of this machine's architecture")),
    Suite("selftests", Needs(
        lambda bench: (Path(bench.kdir) / "source/tools/testing/selftests/ftrace").exists()
        and bench.has("HIST_TRIGGERS") and not kernels.is_debug(bench.kdir),
        "it needs the kernel's source and CONFIG_HIST_TRIGGERS, without debugging"),
          program("selftests", "selftests.py", "{kdir}/source", limit=600,
                  folders=("tests/selftests",))),
    Suite("fuzz", ONCE, parser_tests.fuzz),
    Suite("stress4", own("two emulated CPUs are enough for this kernel"), stress_tests.on(4)),
    Suite("stress", ANY, stress_tests.on(2)),
    Suite("faults", option("FAILSLAB", "no CONFIG_FAILSLAB; use KERNEL=debug"),
          program("faults", "faults.py", folders=("tests/stress",), limit=200)),
    Suite("events", option("EVENT_TRACING", "no CONFIG_EVENT_TRACING")),
    Suite("samples"),
    Suite("module", ANY, program("module", "module.py", limit=300)),
    Suite("rust"),
    Suite("compile"),
    Suite("build", ONCE),
    Suite("bench", own("costs are measured on the workbench kernel")),
    Suite("kunit", option("KUNIT", "no CONFIG_KUNIT")),
    Suite("code", Needs(
        lambda bench: bench.native and kernels.HOST == "amd64" and bench.has("KUNIT"),
        "it needs amd64 and CONFIG_KUNIT")),
    Suite("harness", option("LKDTM", "no CONFIG_LKDTM")),
    Suite("leaks", option("DEBUG_KMEMLEAK", "no CONFIG_DEBUG_KMEMLEAK; use KERNEL=debug"),
          harness_tests.leaks),
    Suite("lockdep", option("PROVE_LOCKING", "no CONFIG_PROVE_LOCKING; use KERNEL=debug"),
          harness_tests.lockdep),
    Suite("races", ANY, stress_tests.races),
    Suite("intruder", own("it expects warnings of the workbench kernel"),
          stress_tests.intruder),
    # kmemleak's file is in debugfs, which lockdown closes.
    Suite("lockdown", Needs(
        lambda bench: kernels.is_debug(bench.kdir),
        "it needs the module signing key; use KERNEL=debug"),
          program("lockdown", "lockdown.py", "{kdir}", folders=(".", "tests/events"), limit=120,
                  leaks="ignored")),
    Suite("virtme", Needs(
        lambda bench: bench.native and not kernels.is_debug(bench.kdir),
        "the README's commands are for kernels of this machine's architecture")),
    Suite("functions"),
    Suite("troubleshooting", Needs(
        lambda bench: bench.own and kernels.HOST == "amd64" and not kernels.is_debug(bench.kdir),
        "the page shows the workbench kernel for amd64")),
    Suite("doctor", ONCE),
    Suite("parser", ONCE),
    Suite("upstream", Needs(
        lambda bench: bench.own and (Path(bench.kdir) / "source/scripts/checkpatch.pl").exists(),
        "it needs the kernel's source, not the kernel; the workbench kernel's run has it")),
)}
