# SPDX-License-Identifier: GPL-2.0
"""Tests the harness: a fault in a guest is a failure, with the end of the guest's log."""
import io
import shlex

from ktap import Results

LKDTM = "/sys/kernel/debug/provoke-crash/DIRECT"


def fails(bench, command, *problems, log=None, limit=60, **options):
    """The guest's run fails for these reasons, and the report contains them."""
    outcome = bench.run(["/bin/bash", "-c", command], limit=limit, **options)
    assert not outcome.ok, "no fault was reported"
    report = io.StringIO()
    outcome.report(report)
    for problem in problems:
        assert any(problem in p for p in outcome.problems), f"reported as {outcome.problems}"
        assert problem in report.getvalue(), "the report does not name it"
    if log:
        assert log in report.getvalue(), f"the report does not show {log!r} from the log"


def run(bench, results):
    def good():
        outcome = bench.run(["/bin/echo", "hello"], limit=60)
        assert outcome.ok, f"reported as {outcome.problems}"
        assert outcome.status == 0 and outcome.output == "hello\n", outcome.output

    cases = {
        "a panic": ("echo PANIC >" + LKDTM, "end markers", {"log": "Kernel panic"}),
        "a warning": ("echo WARNING >" + LKDTM, "kernel fault: ", {"log": "WARNING:"}),
        "an oops": ("echo EXCEPTION >" + LKDTM, "kernel fault: ", {"log": "Oops"}),
        "a hang": ("echo before; sleep 1000", "the guest hung", {"log": "before", "limit": 3}),
        "a failing command": ("echo before; exit 7", "failed with status 7", {"log": "before"}),
        "a guest that powers off": ("echo o >/proc/sysrq-trigger; sleep 60", "0 end markers", {}),
    }
    results.run("harness: a run without a fault succeeds", good)
    for name, (command, problem, more) in cases.items():
        results.run(
            f"harness: {name} fails the run", lambda: fails(bench, command, problem, **more)
        )


LEAK = """
import fcntl
fcntl.ioctl(open("/dev/stress"), ord("k") << 8 | 11, 10)
"""

def leaks(bench, results):
    bench.build("tests/stress")
    leak = f"insmod tests/stress/stress.ko && python3 -c {shlex.quote(LEAK)}"
    results.run(
        "leaks: each leak is counted",
        lambda: fails(bench, leak, "kmemleak: 10 new", log="kmemleak: unreferenced object"),
    )
    off = "echo off >/sys/kernel/debug/kmemleak"
    results.run(
        "leaks: a disabled kmemleak fails the run",
        lambda: fails(bench, off, "leak detector disabled", "cannot query kmemleak"),
    )


def lockdep(bench, results):
    bench.build("tests/stress")
    bench.build("tests/attacks")
    load = "insmod tests/stress/stress_tracers.ko kind="
    for name, how, *problems in (
        ("a lock order inversion", "order", "possible circular locking dependency"),
        ("an uninitialized lock", "key", "trying to register non-static key"),
        ("silently disabled lockdep", "off"),
    ):
        results.run(
            f"lockdep: {name} fails the run",
            lambda: fails(bench, load + how, *problems, "lockdep is off at the end",
                          leaks="ignored"),
        )

    def before():
        command = f"{load}off && python3 tests/inside/attacks.py kinds/dropped_in_rcu"
        outcome = bench.run(["/bin/bash", "-c", command], limit=120, leaks="ignored")
        found = Results()
        found.deliberate("rcu", outcome, "kernel BUG at ")
        failed = [line for ok, line in found.lines if ok is False]
        assert failed == ["rcu: no fault precedes that line"], found.lines
        assert any("lockdep is off before" in line for _, line in found.lines), found.lines

    results.run("lockdep: lockdep disabled before an intended fault fails the run", before)
