# SPDX-License-Identifier: GPL-2.0
"""Common code of the tests in the guest: modules, the kernel's log and its list of
kprobes, assertions, and KTAP."""
import ctypes
import os
import re
import subprocess
import sys
import time
import traceback
from contextlib import contextmanager

import arch


def checked(result):
    """Checks the result of a function of the C library; raises OSError."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def insmod(path, params=b""):
    """Loads a module, without insmod. Raises OSError if it is refused."""
    fd = os.open(path, os.O_RDONLY)
    try:
        checked(arch.syscall("finit_module", fd, ctypes.c_char_p(params), 0))
    finally:
        os.close(fd)


def rmmod(name):
    checked(arch.syscall("delete_module", name.encode(), os.O_NONBLOCK))


def is_loaded(name):
    with open("/proc/modules", encoding="ascii") as modules:
        return any(line.startswith(name + " ") for line in modules)


def check_lockdep():
    """To be called before a fault that is made on purpose, which turns lockdep off: logs a
    warning if it is off already."""
    subprocess.run(["qemu/inside/check_lockdep", "before the intended fault"], check=False)


def probes(definitions):
    """The parameter of rust_kprobe.ko, quoted for the kernel."""
    if isinstance(definitions, str):
        definitions = definitions.encode()
    return b'probes="' + definitions + b'"'


def kprobe_list():
    with open("/sys/kernel/debug/kprobes/list", encoding="ascii") as kprobes:
        return kprobes.read().splitlines()


class Log:
    """The kernel's log from here on."""

    def __init__(self, name="rust_kprobe"):
        self.prefix = name + ": "
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def lines(self):
        """The module's lines since the last call."""
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
            # Lines of the kernel about a module have its prefix, too.
            if text.startswith(self.prefix) and "taint" not in text:
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


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError(f"{what}{': ' if what else ''}got {got!r}, wanted {wanted!r}")


def match(text, pattern):
    found = re.fullmatch(pattern, text)
    if not found:
        raise AssertionError(f"{text!r} does not match {pattern!r}")
    return found


def match_lines(lines, patterns):
    if len(lines) != len(patterns):
        raise AssertionError(f"{len(lines)} lines instead of {len(patterns)}: {lines}")
    return [match(*pair) for pair in zip(lines, patterns)]


def unregistered(name, hits=r"(\d+)", missed=r"(\d+)", suppressed=r"(\d+)"):
    return rf"{name}: unregistered, {hits} hits, {missed} missed, {suppressed} lines suppressed"


class Skip(Exception):
    """Raised by a test that is to be skipped, with the reason."""


def tests(names):
    """The tests among the names of a program, in order, as run() wants them: each
    function whose name begins with test_."""
    return [(name.removeprefix("test_").replace("_", " "), function)
            for name, function in names.items() if name.startswith("test_")]


def run(suite, tests, wanted=()):
    """Runs tests, or only those whose name contains one of `wanted`; returns the
    exit status. A test is a name and a function that fails by raising, may raise
    Skip, and may return a remark on its success."""
    tests = [(n, t) for n, t in tests if not wanted or any(w in n for w in wanted)]
    print("KTAP version 1")
    print(f"1..{len(tests)}")
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        start = time.monotonic()
        try:
            figures = test()
        except Skip as reason:
            print(f"ok {number} {suite}: {name} # SKIP {reason}")
        except Exception as error:  # run the others anyway
            failed += 1
            print(f"not ok {number} {suite}: {name}")
            lines = [f"{type(error).__name__}: {error}"]
            if not isinstance(error, AssertionError):
                lines += traceback.format_exc().splitlines()
            print("".join(f"# {line}\n" for line in lines), end="")
        else:
            print(f"ok {number} {suite}: {name}{f' ({figures})' if figures else ''}")
        took = time.monotonic() - start
        if took > 60:
            print(f"# took {took:.0f} s")
        sys.stdout.flush()
    return failed != 0
