#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The sample sensor beside events of tracefs for the same functions and the kernel's own: the
same events with the same values. Also calls by which a sensor can be misled, with the sample
open_names, too. Prints KTAP.

usage: samples_sensor.py [WORD...]	(only tests whose name has one of the words)
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import kmod
from arch import takes_32_bits
from kmod import TRACING, equal, write

ROOT = Path(__file__).resolve().parent.parent.parent
# No .pyc files, which python would rename.
CALLS = [sys.executable, "-B", ROOT / "tests/inside/samples_calls.py"]
# A family of sockets that no kernel has any more, so that it looks for a module.
ECONET = 19
IDS = ("uid", "gid", "suid", "sgid", "euid", "egid", "fsuid", "fsgid")

# Functions and arguments are those of today's kernels: struct filename begins with the name.
SEED = {
    "commit_creds": "commit_creds usage=+0($arg1):u64 "
    + " ".join(f"{name}=+{8 + 4 * n}($arg1):u32" for n, name in enumerate(IDS)),
    "rename": "filename_renameat2 oldname=+0(+0($arg2)):string newname=+0(+0($arg4)):string",
    "unlink": "filename_unlinkat pathname=+0(+0($arg2)):string",
    "rmdir": "filename_rmdir pathname=+0(+0($arg2)):string",
    "connect": "security_socket_connect family=+0($arg2):u16 length=$arg3:u32",
}
# What the sample probes. The tracepoint is not among ftrace's functions.
PROBED = {definition.split()[0] for definition in SEED.values()}

N = "n" * 100
PATH = "p" * 253 + "..."
RENAMED = [("old 0", "new0"), ("old 1", "new1"), ("old 2", N), ("folder0", "folder3"),
           ("none", "none either"), ("no", "folder")]
# The names, and the folders in which they were.
UNLINKED = [
    ("new0", "/work"), ("new1", "/work"), (N, "/work"), ("nothing", "/work"), ("/nothing", "/"),
    ("nothing", "..." + "/d" * 16), ("nothing", ".../" + "b" * 99 + "/" + "c" * 99),
    ("/nothing", "/work/d"), (PATH, "/work")]
REMOVED = ["folder1", "folder2", "folder3"]
CONNECTED = [("2", "9", "127.0.0.1"), ("10", "443", "::1"), ("1", "0", "/no/such"),
             ("1", "0", r"\0hidden"), ("1", "0", "x" * 108), ("1", "0", ""), ("0", "0", ""),
             ("2", "0", ""), ("0", "0", "")]
ARGUMENTS = [["true"], ["true", "", "three words here"], list("abcdef"),
             ["./suspect", "one argument", "./script", "one"]]
CREDENTIALS = ["0 1 0 3 0 2 0 2", "4 1 6 3 5 2 5 2", "0 0 0 0 0 0 7 0", "0 0 0 0 9 8 9 8"]


@contextmanager
def loaded(seed=()):
    """The sample, and events of the seed."""
    with kmod.loaded(ROOT / "samples/sensor.ko"):
        try:
            for name in seed:
                write(TRACING / "kprobe_events", f"p:seed/{name} {SEED[name]}\n", truncate=0)
            yield
        finally:
            for name in seed:
                write(TRACING / "kprobe_events", f"-:seed/{name}\n", truncate=0)


class Listener:
    """An instance of tracefs in which events are enabled."""

    def __init__(self, folder):
        self.pipe = os.open(folder / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)

    def records(self):
        """The records since the last call: (event, text)."""
        data = b""
        try:
            while more := os.read(self.pipe, 65536):
                data += more
        except BlockingIOError:
            pass
        return [tuple(line.split(": ", 1)) for line in data.decode("latin1").split("\n")[:-1]]

    def called(self, folder, *words):
        """What samples_calls.py does; the records: (event, fields)."""
        self.records()
        subprocess.run([*CALLS, *words], cwd=folder)
        seen = [(event, fields(text)) for event, text in self.records()]
        # Not what python does to run it.
        return [(event, values) for event, values in seen
                if values.get("filename") != sys.executable and event != "commit_creds"]


@contextmanager
def listening(*events, filter="0"):
    folder = TRACING / "instances/sensor"
    folder.mkdir()
    write(folder / "options/context-info", 0)
    for event in events:
        write(folder / f"events/{event}/filter", filter)
        write(folder / f"events/{event}/enable", 1)
    listener = Listener(folder)
    try:
        yield listener
    finally:
        os.close(listener.pipe)
        folder.rmdir()


@contextmanager
def place():
    folder = tempfile.mkdtemp()
    subprocess.run(["mount", "-t", "tmpfs", "nodev", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
        os.rmdir(folder)


def work(folder, *before):
    done = subprocess.run([*before, *CALLS, "work"], cwd=folder, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def traced():
    """The functions of ftrace's that something is at."""
    return sorted(set(kmod.traced()) & PROBED)


def fields(text):
    """{name: value} of a record, whose values have no equals sign."""
    found = re.findall(r"(\w+)=(\"[^\"]*\"|.*?)(?= \w+=|$)", text)
    return {name: value.strip('"') for name, value in found}


def only(records, *names):
    return [tuple(values[name] for name in names) for values in records]


def argv(values):
    """The arguments in a record of an exec: the first six, or as many as there are."""
    return [values[f"argv{n}"] for n in range(min(int(values["argc"]), 6))]


def files(records, prefix=""):
    return [[int(values[prefix + name]) for name in ("major", "minor", "inode")]
            for values in records]


def length(name):
    # The sample says how long a name is that it has not all of.
    return "300" if name == PATH else str(len(name))


def compare(seen, facts):
    """Checks a list of (system, event, fields)."""
    def of(system, event):
        return [values for s, e, values in seen if (s, e) == (system, event)]

    creds = of("sensor", "commit_creds")
    equal(only(creds, "usage", *IDS), only(of("seed", "commit_creds"), "usage", *IDS))
    changes = [" ".join(change) for change in only(creds, *IDS)]
    equal([wanted for wanted in CREDENTIALS if wanted not in changes], [], changes)

    work = facts["work"]
    renamed = of("sensor", "rename")
    equal(only(of("seed", "rename"), "oldname", "newname"), RENAMED)
    equal(only(renamed, "oldname", "newname"), RENAMED)
    equal(only(renamed, "oldlength", "newlength"), [(length(a), length(b)) for a, b in RENAMED])
    equal(only(renamed, "oldfolder", "newfolder"), [("/work", "/work")] * 5 + [("(none)", "/work")])
    equal((files(renamed, "old"), files(renamed, "new")), ([work] * 5 + [[0, 0, 0]], [work] * 6))

    unlinked, removed = ([values for values in of("sensor", "unlink") if values["directory"] == one]
                         for one in "01")
    equal(only(unlinked, "pathname", "folder"), UNLINKED)
    equal(only(unlinked, "length"), [(length(name),) for name, _ in UNLINKED])
    equal(files(unlinked[:5] + unlinked[7:8]), [work] * 4 + [facts["root"], facts["d"]])
    equal([values["pathname"] for values in removed], REMOVED)
    equal(files(removed), [work] * 3)
    # The seed has all of a long one.
    equal([values["pathname"][:253] for values in of("seed", "unlink") + of("seed", "rmdir")],
          [name[:253] for name, _ in UNLINKED] + REMOVED)

    equal(only(of("sensor", "connect"), "family", "port", "address"), CONNECTED)
    # Without a length, the family is whatever was on the kernel's stack.
    equal([values["family"] if int(values["length"]) >= 2 else "0"
           for values in of("seed", "connect")], [family for family, _, _ in CONNECTED])

    executed, by_kernel = of("sensor", "exec"), of("sched", "sched_process_exec")
    names = ["suspect", "./suspect", f"/dev/fd/{facts['descriptor']}", "./script"]
    equal(only(executed, "filename", "pid"), only(by_kernel, "filename", "pid"))
    equal(only(executed, "filename", "interp", "argc", "length"), [
        (name, interp, argc, length(name))
        for name, interp, argc in zip(names, names[:3] + ["./suspect"], "1384")])
    equal([argv(values) for values in executed], ARGUMENTS)
    equal(files(executed), [facts["suspect"]] * 4)
    equal(only(of("sensor", "exec_failed"), "fd", "path", "length", "error"),
          [("-100", "/no/such", "8", "-2"), (str(facts["directory"]), "", "0", "-13"),
           ("-100", PATH, "1000", "-36")])
    return f"{len(seen)} events"


def test_events_in_trace_pipe_equal_those_of_tracefs():
    equal(traced(), [])
    with loaded(SEED), place() as folder:
        equal(traced(), [])
        comms = 'comm == "suspect" || comm == "script"'
        with listening("seed", "sensor", "sched/sched_process_exec", filter=comms) as listener:
            equal(len(traced()), len(PROBED))
            facts = work(folder)
            records = listener.records()
        equal(traced(), [])
    # The seed's have the address.
    return compare([("sched" if event.startswith("sched_") else "seed" if text.startswith("(")
                     else "sensor", event, fields(text)) for event, text in records], facts)


def test_events_in_perf_equal_those_of_tracefs():
    if not shutil.which("perf"):
        raise kmod.Skip("perf is not installed")
    with loaded(SEED), place() as folder, tempfile.TemporaryDirectory() as directory:
        data = f"{directory}/perf.data"
        facts = work(folder, "perf", "record", "-q", "-a", "-e", "seed:*", "-e", "sensor:*", "-e",
                     "sched:sched_process_exec", "-o", data, "--")
        out = subprocess.run(["perf", "script", "-F", "comm,event,trace", "-i", data], check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             encoding="latin1").stdout
        equal(traced(), [])
    found = re.findall(r"^\s*(?:suspect|script) +(seed|sensor|sched):(\w+): (.*?) *$", out, re.M)
    return compare([(system, event, fields(text)) for system, event, text in found], facts)


def test_strings_in_memory_that_is_not_present_are_reported():
    with loaded(["connect"]), place() as folder, listening("sensor", "seed") as listener:
        [(event, values)] = listener.called(folder, "exec", "/bin/true")
        equal((event, values["filename"]), ("exec", "/bin/true"))
        equal(argv(values), ["/bin/true", "cold argument", "warm"])
        [(event, values)] = listener.called(folder, "exec-fails")
        equal((event, values["path"], values["error"]), ("exec_failed", "/cold/name", "-2"))
        seen = listener.called(folder, "connect")
        equal([(event, values["family"]) for event, values in seen], [("connect", "2")] * 2)
        equal(only([values for _, values in seen if "port" in values], "port", "address"),
              [("9", "127.0.0.1")])
        seen = listener.called(folder, "remove")
        equal([values.get("pathname") or (values["oldname"], values["newname"])
               for _, values in seen],
              ["/cold/name", "/cold/folder", ("/cold/old", "/cold/new")])


def test_program_arguments_of_all_kinds_are_reported():
    with loaded(), place() as folder, \
            listening("sensor", "sched/sched_process_exec") as listener:
        seen = listener.called(folder, "argvs", "/bin/true")
    executed, by_kernel, failed = ([values for event, values in seen if event == name] for name in (
        "exec", "sched_process_exec", "exec_failed"))
    equal(only(executed, "filename", "pid"), only(by_kernel, "filename", "pid"))
    equal([(values["argc"], argv(values)) for values in executed], [
        ("1", [""]), ("1", [""]), ("4", ["/bin/true", "", "after", ""]), ("6", list("012345")),
        ("7", list("012345")), ("2", ["x" * 61 + "...", "after"])])
    equal([(values["path"], values["error"]) for values in failed],
          [("/bin/true", "-14"), ("", "-2"), ("(fault)", "-14")])


def test_32_bit_system_calls_are_reported():
    if not takes_32_bits():
        raise kmod.Skip("32-bit system calls are not supported")
    with loaded(), place() as folder, listening("sensor") as listener:
        seen = listener.called(folder, "int80", "/bin/true")
    equal([event for event, _ in seen], ["unlink", "rename", "connect", "connect", "exec"])
    unlink, rename, *connects, execed = (values for _, values in seen)
    equal((unlink["pathname"], unlink["folder"], rename["newname"]), ("by-int80", "/", "by-int80"))
    equal(only(connects, "family", "port", "address"), [("2", "9", "127.0.0.1")] * 2)
    equal((execed["filename"], argv(execed)), ("/bin/true", ["by-int80"] * 2))


def test_io_uring_operations_are_reported():
    with loaded(), place() as folder, listening("sensor") as listener:
        seen = listener.called(folder, "io_uring")
    # It may try to connect more than once.
    kinds = [event for n, (event, _) in enumerate(seen) if event != "connect" or n == 0]
    equal(kinds, ["connect", "unlink", "rename"])
    equal({(values["address"], values["port"]) for event, values in seen if event == "connect"},
          {("127.0.0.1", "9")})
    equal([(values.get("pathname") or values["oldname"],
            values.get("folder") or values["oldfolder"])
           for event, values in seen if event != "connect"], [("by-io_uring", "/")] * 2)


def built(text, path, *options):
    return shutil.which("gcc") and subprocess.run(
        ["gcc", *options, "-x", "c", "-", "-o", path], input=text, text=True,
        stderr=subprocess.DEVNULL).returncode == 0


def test_programs_started_by_the_kernel_are_reported():
    # Their root is that of the first process.
    helper, setting = "/run/sensor_helper", "/proc/sys/kernel/modprobe"
    before = kmod.read(setting)
    if not built("int main(void) { return 0; }", helper, "-static"):
        raise kmod.Skip("no compiler")
    with loaded(), listening("sensor/exec", "sched/sched_process_exec") as listener:
        write(setting, helper)
        kmod.outcome(socket.socket, ECONET, socket.SOCK_DGRAM)
        write(setting, before)
        os.unlink(helper)
        seen = [(event, fields(text)) for event, text in listener.records()]
    equal({values["filename"] for _, values in seen}, {helper})
    executed = [values for event, values in seen if event == "exec"]
    equal(len(executed) * 2, len(seen))
    equal(argv(executed[0]), [helper, "-q", "--", f"net-pf-{ECONET}"])


def test_32_bit_programs_are_reported():
    text = 'void _start(void) { asm("int $0x80" :: "a"(1), "b"(0)); }'
    with loaded(), place() as folder, listening("sensor/exec") as listener:
        program = f"{folder}/thirty-two"
        if not takes_32_bits() or not built(text, program, "-m32", "-nostdlib", "-static",
                                            "-fno-pie", "-no-pie"):
            raise kmod.Skip("32-bit programs are not supported")
        listener.records()
        subprocess.run([program, "an argument"], check=True)
        [values] = [fields(text) for _, text in listener.records()]
        equal((values["filename"], argv(values)), (program, [program, "an argument"]))
        equal(int(values["inode"]), os.stat(program).st_ino)


if __name__ == "__main__":
    kmod.mount_tracing()
    sys.exit(kmod.run("sensor", kmod.tests(globals()), sys.argv[1:]))
