# SPDX-License-Identifier: GPL-2.0
"""Listening to the trace events of tests/events, and what of theirs is armed."""
import errno
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import kmod
from kmod import equal, match

FOLDER = Path(__file__).resolve().parent.parent / "events"
TRACING = Path("/sys/kernel/tracing")
CALL = Path("/sys/module/events/parameters/call")
LINE = r"\s*(.+)-(\d+)\s+\[\d+\] \S+ +\d+\.\d+: (.*)"
LEAKS_ARE_SEEN = Path("/sys/kernel/debug/kmemleak")


class Instance:
    """An instance of tracefs, or the first one."""

    def __init__(self, folder=TRACING):
        self.folder = folder

    def __getitem__(self, event):
        """The folder of an event."""
        return self.folder / "events/events_test" / event

    def set(self, event, on=True):
        put(self[event] / "enable", "1" if on else "0")

    def clear(self):
        put(self.folder / "trace", "")

    def lines(self):
        """What was printed, without the time and the CPU."""
        text = (self.folder / "trace").read_bytes().decode("ascii").splitlines()
        return [match(line, LINE)[3] for line in text if not line.startswith("#")]

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


def put(path, text):
    """Writes it with one write(), whose error raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(fd, text.encode("latin1"))
    finally:
        os.close(fd)


def call(words):
    put(CALL, words)


@contextmanager
def instance(name):
    folder = TRACING / "instances" / name
    folder.mkdir()
    try:
        yield Instance(folder)
    finally:
        if folder.exists():
            folder.rmdir()


@contextmanager
def loaded(name="events"):
    kmod.insmod(FOLDER / f"{name}.ko")
    try:
        yield
    finally:
        if kmod.is_loaded(name):
            kmod.rmmod(name)


def with_module(test):
    def wrapped():
        with loaded():
            return test()

    wrapped.__name__ = test.__name__
    return wrapped


def refused(number, function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        equal(errno.errorcode[error.errno], errno.errorcode[number])
    else:
        raise AssertionError("it was not refused")


def kprobes_at(function):
    """The kprobes at its entry, which is behind the endbr64 where there is one."""
    return [line for line in kmod.kprobe_list() if re.search(rf" {function}\+0x[04] ", line)]


def address_of(function):
    """Where the kernel has a kprobe in it."""
    return int(kprobes_at(function)[0].split()[0], 16)


def are_enabled(lines):
    return ["[DISABLED]" not in line for line in lines]


def armed(function):
    """Whether each kprobe there is armed, as kprobes/list and ftrace say. The kernel
    changes one of them after the other, so they may need a moment to agree."""
    enabled = TRACING / "enabled_functions"
    end = time.monotonic() + 10
    while True:
        lines = kprobes_at(function)
        states = are_enabled(lines)
        # arm64 has breakpoints.
        if not any("[FTRACE]" in line for line in lines) or not enabled.exists():
            return states
        there = any(line.split()[0] == function for line in enabled.read_text().splitlines())
        if there == any(states):
            return states
        if time.monotonic() > end:
            equal(there, any(states), "enabled_functions")
        time.sleep(0.05)


def traced():
    """Which functions of the module's are in enabled_functions."""
    return sorted(re.findall(r"^events_\w+", (TRACING / "enabled_functions").read_text(), re.M))


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="surrogateescape", **options)


def tool(name):
    if not shutil.which(name):
        raise kmod.Skip(f"{name} is not installed")


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it took too long")
        time.sleep(0.05)


class Loops:
    """Steps that threads repeat until it ends. Those that fail are not counted: the module,
    or the event, is away."""

    def __init__(self, pause=lambda: 0):
        self.rounds = {}
        self.pause = pause
        self.threads = []
        self.stop = threading.Event()

    def add(self, name, *steps):
        def loop():
            while not self.stop.is_set():
                try:
                    for step in steps:
                        step()
                    self.rounds[name] += 1
                except OSError:
                    pass
                time.sleep(self.pause())

        self.rounds[name] = 0
        self.threads.append(threading.Thread(target=loop))

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def told(self):
        """How often each was done, all of which have to be."""
        if not all(self.rounds.values()):
            raise AssertionError(self.rounds)
        return ", ".join(f"{n} {name}" for name, n in self.rounds.items())


def listen_by_perf(event):
    """For a moment. Raises OSError where the event is away."""
    done = subprocess.run(["perf", "stat", "-a", "-e", f"events_test:{event}", "true"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if done.returncode:
        raise OSError


def perf_record(directory, *events, script, options=()):
    data = f"{directory}/perf.data"
    names = [word for event in events for word in ("-e", f"events_test:{event}", *options)]
    run("perf", "record", "-q", "-a", *names, "-o", data, "--", sys.executable, "-c", script)
    return data


def sender(*words):
    calls = "".join(f"open('{CALL}', 'w').write('{word}')\n" for word in words)
    return f"open('/proc/self/comm', 'w').write('python3')\n{calls}"
