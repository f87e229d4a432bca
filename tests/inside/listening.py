# SPDX-License-Identifier: GPL-2.0
"""Listeners of the trace events of tests/events, and the state of their probes."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import kmod
from kmod import TRACING, equal, match, read, write

CALL = "/sys/module/events/parameters/call"
LINE = r"\s*(.+)-(\d+)\s+\[\d+\] \S+ +\d+\.\d+: (.*)"
# The functions of the event `both`.
BOTH = ["events_entered", "events_entered_too"]
HAS_KMEMLEAK = os.path.exists("/sys/kernel/debug/kmemleak")


class Instance:
    """An instance of tracefs, or the global one."""

    def __init__(self, folder=TRACING):
        self.folder = folder

    def __getitem__(self, event):
        return self.folder / "events/events_test" / event

    def set(self, event, on=True):
        write(self[event] / "enable", int(on))

    def filter(self, event, text="0"):
        write(self[event] / "filter", text)

    def trigger(self, event, text):
        write(self[event] / "trigger", text)

    def clear(self):
        write(self.folder / "trace", "")

    def lines(self):
        """The printed records, without the time and the CPU."""
        lines = read(self.folder / "trace").splitlines()
        return [match(line, LINE)[3] for line in lines if not line.startswith("#")]

    @contextmanager
    def listening(self, *events):
        self.clear()
        for event in events:
            self.set(event)
        try:
            yield self
        finally:
            for event in events:
                self.set(event, False)


ALL = Instance()


def call(words):
    write(CALL, words)


@contextmanager
def instance(name):
    folder = TRACING / "instances" / name
    folder.mkdir()
    try:
        yield Instance(folder)
    finally:
        if folder.exists():
            folder.rmdir()


def ko(name):
    return f"tests/events/{name}.ko"


def module(name="events"):
    return kmod.loaded(ko(name))


def with_module(test):
    def wrapped():
        with module():
            return test()

    return wrapped


def kprobes_at(function):
    """The kprobes at its entry, or after its endbr64."""
    return [line for line in kmod.kprobe_list() if re.search(rf" {function}\+0x[04] ", line)]


def address_of(function):
    return int(kprobes_at(function)[0].split()[0], 16)


def armed(function):
    """Whether each kprobe there is armed, after kprobes/list and ftrace's list agree."""
    end = time.monotonic() + 10
    while True:
        lines = kprobes_at(function)
        states = ["[DISABLED]" not in line for line in lines]
        # arm64 uses breakpoints.
        if not any("[FTRACE]" in line for line in lines):
            return states
        there = function in kmod.traced()
        if there == any(states):
            return states
        if time.monotonic() > end:
            equal(there, any(states), "enabled_functions")
        time.sleep(0.05)


def traced():
    return sorted(name for name in kmod.traced() if name.startswith("events_"))


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="surrogateescape", **options)


def tool(name):
    if not shutil.which(name):
        raise kmod.Skip(f"{name} is not installed")


def listen_by_perf(event):
    """Listens for a moment. Raises OSError if the event does not exist."""
    done = subprocess.run(["perf", "stat", "-a", "-e", f"events_test:{event}", "true"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if done.returncode:
        raise OSError


def by_perf(script, *events, fields=("event,trace",)):
    """Records events of a Python script; `perf script`'s lines of `fields`, and the file."""
    tool("perf")
    names = [word for event in events for word in ("-e", f"events_test:{event}")]
    with tempfile.TemporaryDirectory() as directory:
        data = f"{directory}/perf.data"
        run("perf", "record", "-q", "-a", "-g", *names, "-o", data, "--",
            sys.executable, "-c", script)
        out = [run("perf", "script", "-F", which, "-i", data).stdout for which in fields]
        lines = [[" ".join(line.split()) for line in text.splitlines() if line.strip()]
                 for text in out]
        return *lines, Path(data).read_bytes()


def by_bpftrace(program, step):
    """The sorted output of a program that runs during the step, and exits or is interrupted."""
    tool("bpftrace")
    program += ' interval:s:1 { printf("tick\\n"); }'
    with subprocess.Popen(["bpftrace", "-B", "line", "-e", program], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as tracer:
        for line in tracer.stdout:
            if line == "tick\n":
                break
        step()
        if "exit()" not in program:
            tracer.send_signal(signal.SIGINT)
        lines = tracer.stdout.read().splitlines()
    return sorted(line for line in lines if line not in ("", "tick"))


def sender(*words):
    calls = "".join(f"f.write({word.encode('latin1')!r})\n" for word in words)
    return (f"open('/proc/self/comm', 'w').write('python3')\nf = open('{CALL}', 'wb', 0)\n{calls}")
