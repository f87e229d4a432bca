#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The sample sensor beside kprobe events of tracefs for the same functions, as a sensor
before it defined them: the same events with the same values. Prints KTAP.

usage: sensor.py [WORD...]	(only tests whose name has one of the words)
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import arch
import kmod
from kmod import equal

ROOT = Path(__file__).resolve().parent.parent.parent
TRACING = Path("/sys/kernel/tracing")
# Where a system call's second and third argument are in struct pt_regs.
SECOND, THIRD = {"x86_64": (104, 96), "aarch64": (8, 16)}[os.uname().machine]
IDS = ("uid", "gid", "suid", "sgid", "euid", "egid", "fsuid", "fsgid")


def arguments(at):
    return " ".join(f"argv{n}=+0(+u{8 * n}(+{at}($arg1))):ustring" for n in range(6))


# Functions and arguments are those of today's kernels: struct filename begins with the
# name, and a system call's function has a pointer to the registers.
SEED = {
    "commit_creds": "commit_creds usage=+0($arg1):u64 "
    + " ".join(f"{name}=+{8 + 4 * n}($arg1):u32" for n, name in enumerate(IDS)),
    "execve": f"{arch.handler_of('execve')} {arguments(SECOND)}",
    "execveat": f"{arch.handler_of('execveat')} {arguments(THIRD)}",
    "rename": "filename_renameat2 oldname=+0(+0($arg2)):string newname=+0(+0($arg4)):string",
    "unlink": "filename_unlinkat pathname=+0(+0($arg2)):string",
    "rmdir": "filename_rmdir pathname=+0(+0($arg2)):string",
}

WORK = r"""
import ctypes, os, socket, struct, tempfile
libc = ctypes.CDLL(None)
folder = tempfile.mkdtemp()
os.chdir(folder)
here = os.open(".", os.O_RDONLY)
for n in range(3):
    open(f"old {n}", "w").close()
    os.mkdir(f"folder{n}")
true = os.open("/bin/true", os.O_RDONLY)
sock, local = socket.socket(), socket.socket(socket.AF_UNIX)

def child(*steps):
    if os.fork() == 0:
        try:
            for step in steps:
                step()
        finally:
            os._exit(1)
    os.wait()

def connects(fd, data, length=None):
    libc.connect(fd, data, len(data) if length is None else length)

def called(name):
    open("/proc/self/comm", "w").write(name)

def by_descriptor(*argv):
    # The empty path may be on a page of the C library that has not been read yet.
    called("child")
    try:
        os.execve(here, ["nothing"], {})
    except OSError:
        called("suspect")
    os.execve(true, argv, {})

called("suspect")
os.rename("old 0", "new0")
os.rename("old 1", "new1", src_dir_fd=here, dst_dir_fd=here)
libc.renameat2(here, b"old 2", here, b"n" * 100, 1)
os.rename("folder0", "folder3")
libc.rename(b"none", b"none either")
os.unlink("new0")
os.unlink("new1", dir_fd=here)
os.unlink("n" * 100)
os.rmdir("folder1")
os.rmdir("folder2", dir_fd=here)
libc.unlinkat(here, b"folder3", 0x200)
libc.unlink(b"nothing")
connects(sock.fileno(), struct.pack("=H", 2) + struct.pack(">H", 9) + bytes([127, 0, 0, 1]) + bytes(8))
connects(sock.fileno(), struct.pack("=H", 10) + struct.pack(">HI", 443, 0) + bytes(15) + b"\1" + bytes(4))
connects(local.fileno(), struct.pack("=H", 1) + b"/no/such\0")
connects(local.fileno(), struct.pack("=H", 1) + b"\0hidden")
connects(local.fileno(), struct.pack("=H", 1) + b"x" * 108)
connects(local.fileno(), struct.pack("=H", 1))
connects(sock.fileno(), struct.pack("=H", 0) + bytes(14))
connects(sock.fileno(), None, 16)
child(lambda: os.setgroups([5]), lambda: os.setresgid(1, 2, 3), lambda: os.setresuid(4, 5, 6))
child(lambda: libc.setfsuid(7), lambda: os.setegid(8), lambda: os.seteuid(9))
child(lambda: os.execv("/bin/true", ["true"]))
child(lambda: os.execv("/bin/true", ["true", "", "three words here"]))
child(lambda: os.execv("/no/such", list("abcdef")))
child(lambda: by_descriptor(*"abcdefgh"))
child(lambda: by_descriptor("one"))
called("done")
os.chdir("/")
os.rmdir(folder)
"""

N = "n" * 100
RENAMED = [("old 0", "new0"), ("old 1", "new1"), ("old 2", N), ("folder0", "folder3"), ("none", "none either")]
UNLINKED, REMOVED = ["new0", "new1", N, "nothing"], ["folder1", "folder2", "folder3"]
EXECUTED = [["true"], ["true", "", "three words here"], list("abcdef")]
EXECUTED_AT = [list("abcdef"), ["one"]]
CONNECTED = [("2", "9", "127.0.0.1"), ("10", "443", "::1"), ("1", "0", "/no/such"), ("1", "0", "@hidden"),
             ("1", "0", "x" * 108), ("1", "0", ""), ("0", "0", "")]


def put(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


@contextmanager
def both():
    """The sample, and the events of the seed."""
    kmod.insmod(ROOT / "samples/sensor.ko")
    try:
        for name, definition in SEED.items():
            put(TRACING / "kprobe_events", f"p:seed/{name} {definition}\n")
        yield
    finally:
        for name in SEED:
            put(TRACING / "kprobe_events", f"-:seed/{name}\n")
        kmod.rmmod("sensor")


def traced():
    """The functions of ftrace's that something is at."""
    names = {definition.split()[0] for definition in SEED.values()} | {arch.handler_of("connect")}
    there = (TRACING / "enabled_functions").read_text().splitlines()
    return sorted({line.split()[0] for line in there} & names)


def fields(text):
    """{name: value} of a record, whose values have no equals sign."""
    return {name: value.strip('"') for name, value in re.findall(r"(\w+)=(\"[^\"]*\"|.*?)(?= \w+=|$)", text)}


def compare(seen):
    """Checks a list of (system, event, fields)."""
    def of(system, event):
        return [values for s, e, values in seen if (s, e) == (system, event)]

    def only(records, *names):
        return [tuple(values[name] for name in names) for values in records]

    def argv(records, counts):
        return [[values[f"argv{n}"] for n in range(min(count, 6))] for values, count in zip(records, counts)]

    creds = of("sensor", "commit_creds")
    equal(only(creds, "usage", *IDS), only(of("seed", "commit_creds"), "usage", *IDS))
    changes = only(creds, *IDS)
    for wanted in ("0 1 0 3 0 2 0 2", "4 1 6 3 5 2 5 2", "0 0 0 0 0 0 7 0", "0 0 0 0 9 8 9 8"):
        if tuple(wanted.split()) not in changes:
            raise AssertionError(f"no {wanted} in {changes}")

    for system in ("sensor", "seed"):
        equal(only(of(system, "rename"), "oldname", "newname"), RENAMED, system)
        equal(argv(of(system, "execve"), map(len, EXECUTED)), EXECUTED, system)
        equal(argv(of(system, "execveat"), map(len, EXECUTED_AT)), EXECUTED_AT, system)
    equal([values["argc"] for values in of("sensor", "execve")], ["1", "3", "6"])
    equal([values["path"] for values in of("sensor", "execve")], ["/bin/true", "/bin/true", "/no/such"])
    equal(only(of("sensor", "execveat"), "argc", "path"), [("7", ""), ("1", "")])
    removed = of("sensor", "unlink")
    for directory, event, wanted in (("0", "unlink", UNLINKED), ("1", "rmdir", REMOVED)):
        equal([values["pathname"] for values in removed if values["directory"] == directory], wanted)
        equal([values["pathname"] for values in of("seed", event)], wanted)
    equal(only(of("sensor", "connect"), "family", "port", "address"), CONNECTED)
    return f"{len(seen)} events"


def test_by_trace_pipe():
    equal(traced(), [])
    with both():
        equal(traced(), [])
        folder = TRACING / "instances/sensor"
        folder.mkdir()
        try:
            for system in ("seed", "sensor"):
                put(folder / f"events/{system}/filter", 'comm == "suspect"')
                put(folder / f"events/{system}/enable", "1")
            equal(len(traced()), len(SEED) + 1)
            pipe = os.open(folder / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
            subprocess.run([sys.executable, "-c", WORK], check=True)
            text = b""
            try:
                while data := os.read(pipe, 65536):
                    text += data
            except BlockingIOError:
                pass
            os.close(pipe)
        finally:
            folder.rmdir()
        equal(traced(), [])
    seen = []
    # The seed's read on behind the last argument, and print that as it is.
    for line in text.decode("latin1").split("\n")[:-1]:
        # It begins with the name that the task was last seen with, which may be that of the
        # program that it has executed since. The seed's have the address then.
        event, rest = re.fullmatch(r"\s*.{1,16}-\d+\s+\[\d+\] \S+ +\d+\.\d+: (\w+): (.*)", line).groups()
        system = "seed" if rest.startswith("(") else "sensor"
        seen.append((system, event, fields(rest)))
    return compare(seen)


def test_by_perf():
    if not shutil.which("perf"):
        raise kmod.Skip("perf is not installed")
    with both(), tempfile.TemporaryDirectory() as directory:
        data = f"{directory}/perf.data"
        subprocess.run(["perf", "record", "-q", "-a", "-e", "seed:*", "-e", "sensor:*", "-o", data, "--",
                        sys.executable, "-c", WORK], check=True)
        out = subprocess.run(["perf", "script", "-F", "comm,event,trace", "-i", data], check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="latin1").stdout
        equal(traced(), [])
    seen = []
    for line in out.split("\n"):
        found = re.fullmatch(r"\s*suspect +(seed|sensor):(\w+): (.*)", line.rstrip())
        if found:
            seen.append((found[1], found[2], fields(found[3])))
    return compare(seen)


def test_perf_trace():
    if not shutil.which("perf"):
        raise kmod.Skip("perf is not installed")
    with both():
        done = subprocess.run(["perf", "trace", "-e", "sensor:rename,sensor:unlink", sys.executable, "-c", WORK],
                              check=True, stderr=subprocess.PIPE, text=True)
    found = re.findall(r" suspect/\d+ sensor:(rename|unlink)\((.*)\)", done.stderr)
    equal(len(found), len(RENAMED) + len(UNLINKED) + len(REMOVED), done.stderr)
    if not any('"old 0"' in text and '"new0"' in text for _, text in found):
        raise AssertionError(found)


def main():
    for name, folder in (("tracefs", TRACING), ("debugfs", Path("/sys/kernel/debug"))):
        if not any(folder.iterdir()):
            subprocess.run(["mount", "-t", name, "nodev", folder], check=True)
    return kmod.run("sensor", kmod.tests(globals()), sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
