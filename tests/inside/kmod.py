# SPDX-License-Identifier: GPL-2.0
"""Common code of the tests in the guest: files, modules, logs, threads, assertions, KTAP."""
import errno
import os
import re
import subprocess
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import arch
from arch import checked

TRACING = Path(arch.TRACING)
CPUS = os.cpu_count()


def read(path):
    return Path(path).read_bytes().decode("latin1")


def write(path, text, truncate=os.O_TRUNC):
    """Writes by one write(), if the kernel accepts all of it; raises OSError."""
    fd = os.open(path, os.O_WRONLY | truncate)
    data = str(text).encode("latin1")
    try:
        # The kernel accepts a list of functions word by word.
        while data:
            data = data[os.write(fd, data):]
    finally:
        os.close(fd)


def insmod(path, params=""):
    fd = os.open(path, os.O_RDONLY)
    try:
        checked(arch.syscall("finit_module", fd, params.encode("latin1"), 0))
    finally:
        os.close(fd)


def rmmod(name):
    checked(arch.syscall("delete_module", name.encode(), os.O_NONBLOCK))


def is_loaded(name):
    return f"\n{name} " in "\n" + read("/proc/modules")


@contextmanager
def loaded(path, params=""):
    name = Path(path).stem
    with log(name) as kmsg:
        insmod(path, params)
        try:
            yield kmsg
        finally:
            if is_loaded(name):
                rmmod(name)


def check_lockdep():
    """Before an intended fault, which turns lockdep off: logs a warning if it is already off."""
    subprocess.run(["qemu/inside/check_lockdep", "before the intended fault"], check=False)


def probes(definitions):
    """The parameter of rust_kprobe.ko, quoted for the kernel."""
    return f'probes="{definitions}"'


def kprobe_list():
    return read("/sys/kernel/debug/kprobes/list").splitlines()


def traced():
    """The functions with a tracer."""
    return [line.split()[0] for line in read(TRACING / "enabled_functions").splitlines()]


def mount_tracing():
    for name, folder in ("tracefs", TRACING), ("debugfs", "/sys/kernel/debug"):
        if not os.listdir(folder):
            subprocess.run(["mount", "-t", name, "nodev", folder], check=True)


def nothing_left(*modules):
    equal(kprobe_list() + traced(), [])
    equal([name for name in modules if is_loaded(name)], [])


@contextmanager
def function_tracer(*functions):
    write(TRACING / "set_ftrace_filter", " ".join(functions))
    write(TRACING / "current_tracer", "function")
    try:
        yield
    finally:
        write(TRACING / "current_tracer", "nop")
        write(TRACING / "set_ftrace_filter", "\n")


class Log:
    """The lines of the kernel's log from now on; without a name, of all modules."""

    def __init__(self, name):
        self.prefix = f"{name}: " if name else ""
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def lines(self):
        found = []
        while True:
            try:
                record = os.read(self.fd, 8192)
            except BlockingIOError:
                return found
            except BrokenPipeError:
                raise AssertionError("the log was overrun") from None
            text = record.split(b";", 1)[1].split(b"\n", 1)[0].decode("ascii")
            text = re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), text)
            # The kernel's own lines about a module have the same prefix.
            if text.startswith(self.prefix) and not (self.prefix and "taint" in text):
                found.append(text.removeprefix(self.prefix))

    def close(self):
        os.close(self.fd)


@contextmanager
def log(name="rust_kprobe"):
    opened = Log(name)
    try:
        yield opened
    finally:
        opened.close()


def check(good, what):
    if not good:
        raise AssertionError(what)


def equal(got, wanted, what=""):
    check(got == wanted, f"{what}{': ' if what else ''}got {got!r}, wanted {wanted!r}")


def match(text, pattern):
    found = re.fullmatch(pattern, text)
    check(found, f"{text!r} does not match {pattern!r}")
    return found


def match_lines(lines, patterns):
    check(len(lines) == len(patterns), f"expected {len(patterns)} lines, got {len(lines)}: {lines}")
    return [match(*pair) for pair in zip(lines, patterns)]


def errno_name(error):
    # Python's names are ENOTSUP and EDEADLOCK.
    names = {errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EDEADLK: "EDEADLK"}
    return names.get(error.errno, errno.errorcode[error.errno])


def outcome(function, *args):
    """The name of the OSError's errno, or an empty string."""
    try:
        function(*args)
    except OSError as error:
        return errno_name(error)
    return ""


def refused(wanted, function, *args):
    """Checks that it fails with one of these errnos."""
    name = outcome(function, *args)
    check(name in wanted.split(), f"got {name or 'no error'}, wanted {wanted}")


def until(condition, what="it", seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"{what} took more than {seconds} s")
        time.sleep(0.01)


class Threads:
    """Threads that repeat a step until the end of the `with` block, which raises their errors.
    Rounds with an error of the class `ignored` do not count."""

    def __init__(self, ignored=()):
        self.stopped = threading.Event()
        self.threads, self.errors, self.ignored, self.rounds = [], [], ignored, {}

    def start(self, function, *args, name="step"):
        done = self.rounds.setdefault(name, [])

        def run():
            while not self.stopped.is_set():
                try:
                    function(*args)
                    done.append(None)
                except self.ignored:
                    pass
                except Exception as error:
                    self.errors.append(error)
                    self.stopped.set()

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def count(self, *names):
        """The number of rounds of the threads with these names, or of all."""
        return sum(len(self.rounds.get(name, ())) for name in names or self.rounds)

    def summary(self):
        return ", ".join(f"{len(done)} {name}" for name, done in self.rounds.items())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]


def at_once(function, arguments):
    """Runs it with each argument in a thread; returns the results, or raises an error."""
    with ThreadPoolExecutor(len(arguments)) as threads:
        return list(threads.map(function, arguments))


def on_each_cpu(function):
    """Runs it on all CPUs at the same time, in pinned threads."""
    begin = threading.Barrier(CPUS)

    def run(cpu):
        os.sched_setaffinity(0, {cpu})
        begin.wait()
        function()

    at_once(run, range(CPUS))


def unregistered(name, hits=r"(\d+)", missed=r"(\d+)", suppressed=r"(\d+)"):
    return rf"{name}: unregistered, {hits} hits, {missed} missed, {suppressed} lines suppressed"


def ends(kmsg):
    """The lines that probes logged when they were unregistered, since the last call."""
    return [line for line in kmsg.lines() if " unregistered, " in line]


class Skip(Exception):
    """Raised by a test to skip it, with the reason."""


def tests(names):
    """The functions whose name begins with test_, in order, for run()."""
    return [(name.removeprefix("test_").replace("_", " "), function)
            for name, function in names.items() if name.startswith("test_")]


def run(suite, tests, wanted=()):
    """Runs tests, or only those whose name contains one of `wanted`; returns the exit status. A
    test raises an error to fail, or Skip, and may return figures."""
    tests = [(n, t) for n, t in tests if not wanted or any(w in n for w in wanted)]
    print(f"KTAP version 1\n1..{len(tests)}")
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        start = time.monotonic()
        line, notes = f"ok {number} {suite}: {name}", []
        try:
            figures = test()
            line += f" ({figures})" if figures else ""
        except Skip as reason:
            line += f" # SKIP {reason}"
        except Exception as error:  # continue with the next test
            failed += 1
            line = f"not {line}"
            notes = [f"{type(error).__name__}: {error}",
                     *"".join(traceback.format_tb(error.__traceback__)).splitlines()]
        took = time.monotonic() - start
        if took > 60:
            notes.insert(0, f"took {took:.0f} s")
        print("\n# ".join([line, *notes]), flush=True)
    return failed != 0
