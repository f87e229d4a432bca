# SPDX-License-Identifier: GPL-2.0
"""The table of suites: what each is called, what runs it, and which kernel it
needs.

A suite is a function of the bench and of the results, to which it adds its own:
`run(bench, results)`, in NAME_tests.py. Where it is no more than one program in a
guest, it stands here.
"""
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import attacks_tests
import bench_tests
import build_tests
import code_tests
import commands_tests
import compile_tests
import doctor_tests
import events_tests
import functions_tests
import fuzz_tests
import harness_tests
import intruder_tests
import kernels
import kunit_tests
import parser_tests
import rust_tests
import samples_tests
import stress_tests
import troubleshooting_tests
import virtme_tests


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
    """One line of the table."""

    name: str
    run: Callable
    needs: Needs = ANY


# In the order in which they are begun: the longest first, so that none of them is
# left to run alone at the end.
SUITES = {suite.name: suite for suite in (
    Suite("commands", commands_tests.run, ONCE),
    Suite("attacks", attacks_tests.run, Needs(
        lambda bench: bench.native,
        "its places and errnos are those of this machine's architecture")),
    Suite("fuzz", fuzz_tests.run, ONCE),
    Suite("stress4", stress_tests.on(4), own("two CPUs, emulated in turn, will do")),
    Suite("stress", stress_tests.on(2)),
    Suite("faults", program("faults", "faults.py", folders=("tests/stress",), limit=200), option(
        "FAILSLAB", "this kernel cannot let an allocation fail; KERNEL=debug can")),
    Suite("events", events_tests.run, option("EVENT_TRACING", "this kernel has no trace events")),
    Suite("selftests", program("selftests", "selftests.py", "{kdir}/source", limit=600,
                               folders=("tests/selftests",)), Needs(
        lambda bench: (Path(bench.kdir) / "source/tools/testing/selftests/ftrace").exists()
        and bench.has("HIST_TRIGGERS") and not kernels.is_debug(bench.kdir),
        "it needs the kernel's source, CONFIG_HIST_TRIGGERS, and a kernel that is not slow")),
    Suite("samples", samples_tests.run),
    Suite("module", program("module", "module.py", limit=300)),
    Suite("rust", rust_tests.run),
    Suite("compile", compile_tests.run),
    Suite("build", build_tests.run, ONCE),
    Suite("bench", bench_tests.run, own("what a hit costs is measured on the workbench kernel")),
    Suite("kunit", kunit_tests.run, option(
        "KUNIT", "this kernel has no KUnit; the samples have probes of each kind")),
    Suite("code", code_tests.run, Needs(
        lambda bench: bench.native and kernels.HOST == "amd64" and bench.has("KUNIT"),
        "it reads the code of amd64 in the module with the KUnit suites")),
    Suite("harness", harness_tests.run, option(
        "LKDTM", "this kernel has no LKDTM to go wrong with")),
    Suite("leaks", harness_tests.leaks, option(
        "DEBUG_KMEMLEAK", "this kernel has no kmemleak; KERNEL=debug has")),
    Suite("lockdep", harness_tests.lockdep, option(
        "PROVE_LOCKING", "this kernel has no lockdep; KERNEL=debug has")),
    Suite("races", stress_tests.races),
    Suite("intruder", intruder_tests.run, own(
        "it takes a probe by ftrace, and a warning of the workbench kernel's")),
    # kmemleak answers in debugfs, which a kernel in lockdown closes.
    Suite("lockdown", program("lockdown", "lockdown.py", "{kdir}", folders=(".", "tests/events"),
                              limit=120, leaks="ignored"), Needs(
        lambda bench: kernels.is_debug(bench.kdir),
        "it needs the key that signs modules; KERNEL=debug has it")),
    Suite("virtme", virtme_tests.run, Needs(
        lambda bench: bench.native and not kernels.is_debug(bench.kdir),
        "the README's commands are for kernels of this machine's architecture")),
    Suite("functions", functions_tests.run),
    Suite("troubleshooting", troubleshooting_tests.run, Needs(
        lambda bench: bench.own and kernels.HOST == "amd64" and not kernels.is_debug(bench.kdir),
        "the page shows the workbench kernel for amd64; others inline other functions")),
    Suite("doctor", doctor_tests.run, ONCE),
    Suite("parser", parser_tests.run, ONCE),
)}
