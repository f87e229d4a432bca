# SPDX-License-Identifier: GPL-2.0
"""Collects results and prints them as KTAP, followed by `N passed, N failed`."""
import io
import re
import traceback

import verdict

# Memory corruption, which a task that is killed with its locks held does not cause. (With KASAN,
# every oops mentions KASAN at its end.)
DAMAGE = re.compile(r"BUG: KASAN|Unable to handle|page fault|general protection|double fault|"
                    r"list_(add|del) corruption|refcount_t|[Bb]ad page state")


class Results:
    def __init__(self):
        self.lines = []

    def add(self, ok, name, notes=()):
        self.lines.append((ok, name))
        if not ok:
            for note in notes:
                self.say(f"# {note}")

    def say(self, line):
        self.lines.append((None, line))

    def run(self, name, test):
        try:
            test()
        except AssertionError as error:
            self.add(False, name, str(error).splitlines())
        except Exception:  # a broken test has failed
            self.add(False, name, traceback.format_exc().splitlines())
        else:
            self.add(True, name)

    def run_suite(self, name, suite, *args):
        try:
            suite(*args, self)
        except Exception:  # continue with the other suites
            self.add(False, f"{name}: the suite completes", traceback.format_exc().splitlines())

    def merge(self, suite, text):
        """Adds the results of a suite that printed KTAP. Fails if results are missing."""
        plan = re.search(r"^1\.\.(\d+)$", text, re.MULTILINE)
        found = re.findall(r"^(ok|not ok) \d+ (.*)\n((?:#.*\n)*)", text, re.MULTILINE)
        for verdict, name, notes in found:
            self.add(verdict == "ok", name, [n[2:] for n in notes.splitlines()])
            if verdict == "ok" and notes.startswith("# took "):
                self.say(notes.splitlines()[0])
        planned = int(plan[1]) if plan else None
        if planned is None or planned != len(found):
            self.add(False, f"{suite}: every planned test ran", [f"{len(found)} of {planned}"])

    def verdict(self, suite, outcome, counted=False):
        """Adds the verdict on a guest. `counted`: its failed tests are in the results."""
        problems = outcome.problems
        if counted:
            problems = [p for p in problems if "command failed with status 1" not in p]
        self.add(not problems, f"{suite}: the kernel logs no fault", problems)
        if not outcome.ok:
            report = io.StringIO()
            outcome.report(report)
            for line in report.getvalue().splitlines():
                self.say(line)


    def deliberate(self, name, outcome, wanted, then=""):
        """Adds the verdict on a guest with an intended fault: `wanted` in the log, then `then`,
        and no fault before. The guest checks before that lockdep is on (check_lockdep)."""
        console = outcome.console
        found = re.search(wanted, console)
        self.add(bool(found) and then in console[found.start():],
                 f"{name}: the log has the expected line", console.splitlines()[-40:])
        end = console.rfind("\n", 0, found.start()) + 1 if found else len(console)
        before = verdict.faults(console[:end])
        self.add(not before, f"{name}: no fault precedes that line", before)
        damage = [line for line in verdict.faults(console) if DAMAGE.search(line)]
        self.add(not damage, f"{name}: memory is not corrupted", damage)


class Ktap:
    def __init__(self):
        self.passed = self.failed = 0
        print("KTAP version 1", flush=True)

    def print(self, results):
        for ok, text in results.lines:
            if ok is None:
                print(text, flush=True)
                continue
            self.passed += ok
            self.failed += not ok
            number = self.passed + self.failed
            print(f"{'ok' if ok else 'not ok'} {number} {text}", flush=True)

    def close(self):
        print(f"1..{self.passed + self.failed}")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return self.failed != 0 or self.passed == 0
