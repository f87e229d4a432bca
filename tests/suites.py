# SPDX-License-Identifier: GPL-2.0
"""The table of suites: what each is called, what runs it, and which kernel it needs.

A suite is a function of the bench and of the results, to which it adds its own:
`run(bench, results)`, in NAME_tests.py if none stands here.
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
    """The suite that is one program of tests/inside which prints KTAP, with the
    modules of `folders`. {kdir} in an argument is the kernel's folder."""
    def run(bench, results):
        for folder in folders:
            bench.build(folder)
        bench.ktap(results, name, file, *(a.format(kdir=bench.kdir) for a in arguments), **options)

    return run


@dataclass(frozen=True)
class Needs:
    """What a suite needs of the bench, and why it is left out where that is not so."""

    condition: Callable
    otherwise: str


def option(name, otherwise):
    return Needs(lambda bench: bench.has(name), otherwise)


def own(otherwise):
    return Needs(lambda bench: bench.own, otherwise)


ANY = Needs(lambda bench: True, "")
ONCE = own("it needs no guest; the workbench kernel's run has it")


@dataclass(frozen=True)
class Suite:
    name: str
    needs: Needs = ANY
    function: Callable | None = None

    def run(self, bench, results):
        run = self.function or importlib.import_module(f"{self.name}_tests").run
        run(bench, results)


# In the order in which they are begun: the longest first, so that none of them is
# left to run alone at the end.
SUITES = {suite.name: suite for suite in (
    Suite("commands", ONCE),
    Suite("attacks", Needs(
        lambda bench: bench.native,
        "its places and errnos are those of this machine's architecture")),
    Suite("selftests", Needs(
        lambda bench: (Path(bench.kdir) / "source/tools/testing/selftests/ftrace").exists()
        and bench.has("HIST_TRIGGERS") and not kernels.is_debug(bench.kdir),
        "it needs the kernel's source, CONFIG_HIST_TRIGGERS, and a kernel that is not slow"),
          program("selftests", "selftests.py", "{kdir}/source", limit=600,
                  folders=("tests/selftests",))),
    Suite("fuzz", ONCE, parser_tests.fuzz),
    Suite("stress4", own("two CPUs, emulated in turn, will do"), stress_tests.on(4)),
    Suite("stress", ANY, stress_tests.on(2)),
    Suite("faults", option("FAILSLAB", "this kernel lets no allocation fail; KERNEL=debug can"),
          program("faults", "faults.py", folders=("tests/stress",), limit=200)),
    Suite("events", option("EVENT_TRACING", "this kernel has no trace events")),
    Suite("samples"),
    Suite("module", ANY, program("module", "module.py", limit=300)),
    Suite("rust"),
    Suite("compile"),
    Suite("build", ONCE),
    Suite("bench", own("what a hit costs is measured on the workbench kernel")),
    Suite("kunit", option("KUNIT", "this kernel has no KUnit; the samples have each kind")),
    Suite("code", Needs(
        lambda bench: bench.native and kernels.HOST == "amd64" and bench.has("KUNIT"),
        "it reads the code of amd64 in the module with the KUnit suites")),
    Suite("harness", option("LKDTM", "this kernel has no LKDTM to go wrong with")),
    Suite("leaks", option("DEBUG_KMEMLEAK", "this kernel has no kmemleak; KERNEL=debug has"),
          harness_tests.leaks),
    Suite("lockdep", option("PROVE_LOCKING", "this kernel has no lockdep; KERNEL=debug has"),
          harness_tests.lockdep),
    Suite("races", ANY, stress_tests.races),
    Suite("intruder", own("it takes a probe by ftrace, and a warning of the workbench kernel's"),
          stress_tests.intruder),
    # kmemleak answers in debugfs, which a kernel in lockdown closes.
    Suite("lockdown", Needs(
        lambda bench: kernels.is_debug(bench.kdir),
        "it needs the key that signs modules; KERNEL=debug has it"),
          program("lockdown", "lockdown.py", "{kdir}", folders=(".", "tests/events"), limit=120,
                  leaks="ignored")),
    Suite("virtme", Needs(
        lambda bench: bench.native and not kernels.is_debug(bench.kdir),
        "the README's commands are for kernels of this machine's architecture")),
    Suite("functions"),
    Suite("troubleshooting", Needs(
        lambda bench: bench.own and kernels.HOST == "amd64" and not kernels.is_debug(bench.kdir),
        "the page shows the workbench kernel for amd64; others inline other functions")),
    Suite("doctor", ONCE),
    Suite("parser", ONCE),
    Suite("upstream", Needs(
        lambda bench: bench.own and (Path(bench.kdir) / "source/scripts/checkpatch.pl").exists(),
        "it needs the kernel's source, not the kernel; the workbench kernel's run has it")),
)}
