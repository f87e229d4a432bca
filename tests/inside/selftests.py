#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Runs the kernel's selftests of triggers, events and instances that use a scheduler event, with
the event of a Rust module (tests/selftests) instead. Those that pass with the kernel's event must
pass. Prints KTAP.

usage: selftests.py SOURCE [WORD...]

SOURCE is the kernel's source. With words, runs only the selftests whose names have one of them.
"""
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import kmod

FOLDERS = "trigger", "event", "instances"
# The system of the scheduler's events, as a folder or before an event's name.
SYSTEM = re.compile(r"(?<=\bevents/)sched\b|\bsched(?=[:.])")
# ftracetest's results for a selftest that passes.
GOOD = "ok", "XFAIL"


def results_of(folder, texts, system):
    """Runs selftests with that system of events: {name: (result, log)}"""
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(SYSTEM.sub(system, text))
    logs = folder / f"logs-{system}"
    done = subprocess.run(["./ftracetest", "-K", "-k", "-l", logs, *texts], cwd=folder,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # ftracetest runs these once more, in an instance.
    names = [*texts, *(f"{name} in an instance" for name, text in texts.items()
                       if re.search("^# *flags:.*instance", text, re.MULTILINE))]
    lines = re.findall(r"^((?:not )?ok) (\d+) .*?(?:# (\w+) *)?$", done.stdout, re.MULTILINE)
    kmod.equal(len(lines), len(names), done.stdout)
    return {name: (remark or verdict, next(logs.glob(f"{number}-*")).read_text().splitlines())
            for name, (verdict, number, remark) in zip(names, lines)}


def main():
    source, words = Path(sys.argv[1]) / "tools/testing/selftests/ftrace", sys.argv[2:]
    kmod.mount_tracing()
    folder = Path(tempfile.mkdtemp())
    for name in "ftracetest", "test.d/functions":
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(source / name, folder / name)
    # Without poll.c, which trigger-hist-poll runs. This selftest races: when the event of an
    # exiting task wakes up the program, the task may still exist. Emulated CPUs lose the race.
    paths = sorted(path for part in FOLDERS for path in (source / "test.d" / part).rglob("*.tc"))
    texts = {str(path.relative_to(source)): path.read_text() for path in paths}
    texts = {name: text for name, text in texts.items()
             if SYSTEM.search(text) and (not words or any(word in name for word in words))}

    with kmod.loaded("tests/selftests/rust_sched.ko"):
        rust = results_of(folder, texts, "rust_sched")
    failed = {name.split()[0] for name, (result, _) in rust.items() if result not in GOOD}
    own = results_of(folder, {name: texts[name] for name in failed}, "sched") if failed else {}

    def passes(name):
        result, log = rust[name]
        if result not in GOOD and own[name][0] not in GOOD:
            raise kmod.Skip("the kernel's own event fails it, too")
        kmod.check(result in GOOD, "\n# ".join([result, *log[-20:]]))

    return kmod.run("selftests", [(name.removeprefix("test.d/"), partial(passes, name))
                                  for name in rust])


if __name__ == "__main__":
    sys.exit(main())
