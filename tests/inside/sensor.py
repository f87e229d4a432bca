#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The sample sensor beside events of tracefs for the same functions and the kernel's own: the
same events with the same values. Also calls by which a sensor can be misled, with the sample
open_names, too, and sensor_live. Prints KTAP.

usage: sensor.py [WORD...]	(only tests whose name has one of the words)
"""
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import kmod
from kmod import equal

ROOT = Path(__file__).resolve().parent.parent.parent
TRACING = Path("/sys/kernel/tracing")
LIVE = ROOT / "samples/sensor_live"
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

# Runs in an empty file system of its own. Prints which files its folder and its program are.
WORK = r"""
import ctypes, json, os, shutil, socket, struct
libc = ctypes.CDLL(None)
os.mkdir("work")
os.chdir("work")
here = os.open(".", os.O_RDONLY)
for n in range(3):
    open(f"old {n}", "w").close()
    os.mkdir(f"folder{n}")
deep, lengthy = "/".join("d" * 20), "/".join("abc"[n] * 99 for n in range(3))
for path in deep, lengthy:
    os.makedirs(path)
shutil.copy("/bin/true", "suspect")
with open("script", "w") as script:
    script.write("#!./suspect  one argument")
os.chmod("script", 0o755)
true = os.open("suspect", os.O_RDONLY)
sock, local = socket.socket(), socket.socket(socket.AF_UNIX)

def which(path):
    found = os.stat(path)
    return [os.major(found.st_dev), os.minor(found.st_dev), found.st_ino]

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

called("suspect")
os.rename("old 0", "new0")
os.rename("old 1", "new1", src_dir_fd=here, dst_dir_fd=here)
libc.renameat2(here, b"old 2", here, b"n" * 100, 1)
os.rename("folder0", "folder3")
libc.rename(b"none", b"none either")
libc.renameat(99, b"no", here, b"folder")
os.unlink("new0")
os.unlink("new1", dir_fd=here)
os.unlink("n" * 100)
os.rmdir("folder1")
os.rmdir("folder2", dir_fd=here)
libc.unlinkat(here, b"folder3", 0x200)
libc.unlink(b"nothing")
libc.unlink(b"/nothing")
child(lambda: os.chdir(deep), lambda: libc.unlink(b"nothing"))
child(lambda: os.chdir(lengthy), lambda: libc.unlink(b"nothing"))
child(lambda: os.chroot("d"), lambda: libc.unlink(b"/nothing"))
libc.unlink(b"p" * 300)
connects(sock.fileno(), struct.pack("=H", 2) + struct.pack(">H", 9) + bytes([127, 0, 0, 1]) + bytes(8))
connects(sock.fileno(), struct.pack("=H", 10) + struct.pack(">HI", 443, 0) + bytes(15) + b"\1" + bytes(4))
connects(local.fileno(), struct.pack("=H", 1) + b"/no/such\0")
connects(local.fileno(), struct.pack("=H", 1) + b"\0hidden")
connects(local.fileno(), struct.pack("=H", 1) + b"x" * 108)
connects(local.fileno(), struct.pack("=H", 1))
connects(sock.fileno(), struct.pack("=H", 0) + bytes(14))
connects(sock.fileno(), struct.pack("=H", 2) + b"zzz")
connects(sock.fileno(), b"", 0)
child(lambda: os.setgroups([5]), lambda: os.setresgid(1, 2, 3), lambda: os.setresuid(4, 5, 6))
child(lambda: libc.setfsuid(7), lambda: os.setegid(8), lambda: os.seteuid(9))
child(lambda: os.execv("suspect", ["true"]))
child(lambda: os.execv("./suspect", ["true", "", "three words here"]))
child(lambda: os.execv("/no/such", list("abcdef")))
child(lambda: os.execve(here, ["nothing"], {}))
child(lambda: os.execv("p" * 1000, ["nothing"]))
child(lambda: os.execve(true, list("abcdefgh"), {}))
child(lambda: os.execv("./script", ["zero", "one"]))
called("done")
print(json.dumps({"descriptor": true, "directory": here, "work": which("."), "root": which("/"),
                  "d": which("d"), "suspect": which("suspect"), "top": which("..")}))
"""

N = "n" * 100
RENAMED = [("old 0", "new0"), ("old 1", "new1"), ("old 2", N), ("folder0", "folder3"), ("none", "none either"),
           ("no", "folder")]
PATH = "p" * 253 + "..."
UNLINKED = ["new0", "new1", N, "nothing", "/nothing", "nothing", "nothing", "/nothing", PATH]
FOLDERS = [*["/work"] * 4, "/", "..." + "/d" * 16, "..." + "/" + "b" * 99 + "/" + "c" * 99, "/work/d", "/work"]
REMOVED = ["folder1", "folder2", "folder3"]
CONNECTED = [("2", "9", "127.0.0.1"), ("10", "443", "::1"), ("1", "0", "/no/such"), ("1", "0", r"\0hidden"),
             ("1", "0", "x" * 108), ("1", "0", ""), ("0", "0", ""), ("2", "0", ""), ("0", "0", "")]


def put(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


@contextmanager
def loaded(seed=()):
    """The sample, and events of the seed."""
    kmod.insmod(ROOT / "samples/sensor.ko")
    try:
        for name in seed:
            put(TRACING / "kprobe_events", f"p:seed/{name} {SEED[name]}\n")
        yield
    finally:
        for name in seed:
            put(TRACING / "kprobe_events", f"-:seed/{name}\n")
        kmod.rmmod("sensor")


class Listener:
    """An instance of tracefs in which events are enabled."""

    def __init__(self, *events, filter="0"):
        self.folder = TRACING / "instances/sensor"
        self.folder.mkdir()
        put(self.folder / "options/context-info", "0")
        for event in events:
            put(self.folder / f"events/{event}/filter", filter)
            put(self.folder / f"events/{event}/enable", "1")
        self.pipe = os.open(self.folder / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)

    def records(self):
        """The records since the last call: (event, text)."""
        data = b""
        try:
            while more := os.read(self.pipe, 65536):
                data += more
        except BlockingIOError:
            pass
        return [tuple(line.split(": ", 1)) for line in data.decode("latin1").split("\n")[:-1]]

    def close(self):
        os.close(self.pipe)
        self.folder.rmdir()


@contextmanager
def listening(*events, **options):
    listener = Listener(*events, **options)
    try:
        yield listener
    finally:
        listener.close()


@contextmanager
def place():
    """An empty file system."""
    folder = tempfile.mkdtemp()
    subprocess.run(["mount", "-t", "tmpfs", "nodev", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
        os.rmdir(folder)


def work(folder, *before):
    """Does the work; what it has printed."""
    done = subprocess.run([*before, sys.executable, "-c", WORK], cwd=folder, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def traced():
    """The functions of ftrace's that something is at."""
    there = (TRACING / "enabled_functions").read_text().splitlines()
    return sorted({line.split()[0] for line in there} & PROBED)


def fields(text):
    """{name: value} of a record, whose values have no equals sign."""
    return {name: value.strip('"') for name, value in re.findall(r"(\w+)=(\"[^\"]*\"|.*?)(?= \w+=|$)", text)}


def only(records, *names):
    return [tuple(values[name] for name in names) for values in records]


def argv(values):
    """The arguments in a record of an exec: the first six, or as many as there are."""
    return [values[f"argv{n}"] for n in range(min(int(values["argc"]), 6))]


def compare(seen, facts):
    """Checks a list of (system, event, fields)."""
    def of(system, event):
        return [values for s, e, values in seen if (s, e) == (system, event)]

    def files(records, prefix=""):
        return [[int(values[prefix + name]) for name in ("major", "minor", "inode")] for values in records]

    creds = of("sensor", "commit_creds")
    equal(only(creds, "usage", *IDS), only(of("seed", "commit_creds"), "usage", *IDS))
    changes = only(creds, *IDS)
    for wanted in ("0 1 0 3 0 2 0 2", "4 1 6 3 5 2 5 2", "0 0 0 0 0 0 7 0", "0 0 0 0 9 8 9 8"):
        if tuple(wanted.split()) not in changes:
            raise AssertionError(f"no {wanted} in {changes}")

    for system in ("sensor", "seed"):
        equal(only(of(system, "rename"), "oldname", "newname"), RENAMED, system)
    renamed = of("sensor", "rename")
    equal(only(renamed, "oldfolder", "newfolder"), [("/work", "/work")] * 5 + [("(none)", "/work")])
    equal(files(renamed, "old"), [facts["work"]] * 5 + [[0, 0, 0]])
    equal(files(renamed, "new"), [facts["work"]] * 6)

    removed = of("sensor", "unlink")
    for directory, event, wanted in (("0", "unlink", UNLINKED), ("1", "rmdir", REMOVED)):
        equal([values["pathname"] for values in removed if values["directory"] == directory], wanted)
        # The seed has all of a long one, which the sample says it has not.
        equal([values["pathname"][:253] for values in of("seed", event)], [name[:253] for name in wanted])
    unlinked = [values for values in removed if values["directory"] == "0"]
    equal(only(unlinked, "length"), [(str(300 if name == PATH else len(name)),) for name in UNLINKED])
    equal(only(renamed, "oldlength", "newlength"), [(str(len(old)), str(len(new))) for old, new in RENAMED])
    equal(only(unlinked, "folder"), [(folder,) for folder in FOLDERS])
    equal(files(unlinked[:5] + unlinked[7:8]), [facts["work"]] * 4 + [facts["root"], facts["d"]])
    equal(files(values for values in removed if values["directory"] == "1"), [facts["work"]] * 3)

    equal(only(of("sensor", "connect"), "family", "port", "address"), CONNECTED)
    # Without a length, the family is whatever was on the kernel's stack.
    equal([values["family"] if int(values["length"]) >= 2 else "0" for values in of("seed", "connect")],
          [family for family, _, _ in CONNECTED])

    executed, by_kernel = of("sensor", "exec"), of("sched", "sched_process_exec")
    filenames = [("suspect",), ("./suspect",), (f"/dev/fd/{facts['descriptor']}",), ("./script",)]
    equal(only(executed, "filename", "pid"), only(by_kernel, "filename", "pid"))
    equal(only(executed, "filename"), filenames)
    equal(only(executed, "interp"), filenames[:3] + [("./suspect",)])
    equal(only(executed, "argc"), [("1",), ("3",), ("8",), ("4",)])
    equal([argv(values) for values in executed], [
        ["true"], ["true", "", "three words here"], list("abcdef"), ["./suspect", "one argument", "./script", "one"]])
    equal(files(executed), [facts["suspect"]] * 4)
    equal(only(executed, "length"), [(str(len(name)),) for name, in filenames])
    equal(only(of("sensor", "exec_failed"), "fd", "path", "length", "error"),
          [("-100", "/no/such", "8", "-2"), (str(facts["directory"]), "", "0", "-13"),
           ("-100", PATH, "1000", "-36")])
    return f"{len(seen)} events"


def test_by_trace_pipe():
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
    return compare([("sched" if event.startswith("sched_") else "seed" if text.startswith("(") else "sensor",
                     event, fields(text)) for event, text in records], facts)


def test_by_perf():
    if not shutil.which("perf"):
        raise kmod.Skip("perf is not installed")
    with loaded(SEED), place() as folder, tempfile.TemporaryDirectory() as directory:
        data = f"{directory}/perf.data"
        facts = work(folder, "perf", "record", "-q", "-a", "-e", "seed:*", "-e", "sensor:*", "-e",
                     "sched:sched_process_exec", "-o", data, "--")
        out = subprocess.run(["perf", "script", "-F", "comm,event,trace", "-i", data], check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="latin1").stdout
        equal(traced(), [])
    seen = []
    for line in out.split("\n"):
        found = re.fullmatch(r"\s*(?:suspect|script) +(seed|sensor|sched):(\w+): (.*)", line.rstrip())
        if found:
            seen.append((found[1], found[2], fields(found[3])))
    return compare(seen, facts)


def test_perf_trace():
    if not shutil.which("perf"):
        raise kmod.Skip("perf is not installed")
    with loaded(), place() as folder:
        done = subprocess.run(["perf", "trace", "-e", "sensor:rename,sensor:unlink", sys.executable, "-c", WORK],
                              check=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=folder, text=True)
    found = re.findall(r" (?:suspect|:\d+)/\d+ sensor:(rename|unlink)\((.*)\)", done.stderr)
    equal(len(found), len(RENAMED) + len(UNLINKED) + len(REMOVED), done.stderr)
    if not any('"old 0"' in text and '"new0"' in text for _, text in found):
        raise AssertionError(found)


@contextmanager
def callers():
    """The program callers.c in an empty file system, and its folder."""
    if not shutil.which("gcc"):
        raise kmod.Skip("gcc is not installed")
    with place() as folder:
        program = f"{folder}/callers"
        subprocess.run(["gcc", "-O1", "-o", program, ROOT / "tests/inside/callers.c"], check=True)
        yield program, folder


def called(listener, program, *arguments):
    """What the program does; the records: (event, fields)."""
    listener.records()
    subprocess.run([program, *arguments], cwd=os.path.dirname(program))
    # Not what python does to run it.
    skipped = [program, *arguments]
    return [(event, values) for event, values in ((event, fields(text)) for event, text in listener.records())
            if not (event == "exec" and argv(values)[:6] == skipped[:6]) and event != "commit_creds"]


def test_memory_that_is_not_present():
    with loaded(["connect"]), callers() as (program, folder), listening("sensor", "seed") as listener:
        [(event, values)] = called(listener, program, "exec", "/bin/true")
        equal(event, "exec")
        equal((values["filename"], argv(values)), ("/bin/true", ["/bin/true", "cold argument", "warm"]))
        [(event, values)] = called(listener, program, "exec-fails")
        equal((event, values["path"], values["error"]), ("exec_failed", "/cold/name", "-2"))
        seen = called(listener, program, "connect")
        equal([(event, values["family"]) for event, values in seen], [("connect", "2")] * 2)
        equal(only([values for _, values in seen if "port" in values], "port", "address"), [("9", "127.0.0.1")])
        seen = called(listener, program, "remove")
        equal([values.get("pathname") or (values["oldname"], values["newname"]) for _, values in seen],
              ["/cold/name", "/cold/folder", ("/cold/old", "/cold/new")])


def test_arguments_of_all_kinds():
    with loaded(), callers() as (program, folder), \
            listening("sensor", "sched/sched_process_exec") as listener:
        seen = called(listener, program, "argvs", "/bin/true")
    executed = [values for event, values in seen if event == "exec"]
    equal(only(executed, "filename", "pid"),
          [values for values in only([values for event, values in seen if event == "sched_process_exec"],
                                     "filename", "pid") if values[0] != program])
    lengthy = "x" * 61 + "..."
    equal([(values["argc"], argv(values)) for values in executed], [
        ("1", [""]), ("1", [""]), ("4", ["/bin/true", "", "after", ""]), ("6", list("012345")),
        ("7", list("012345")), ("2", [lengthy, "after"])])
    equal([(values["path"], values["error"]) for event, values in seen if event == "exec_failed"],
          [("/bin/true", "-14"), ("", "-2"), ("(fault)", "-14")])


def test_names_of_unix_sockets():
    with loaded(), callers() as (program, folder), listening("sensor/connect") as listener:
        seen = called(listener, program, "unixes")
    equal([values["address"] for _, values in seen], [
        r"\0good\0evil", r"\0" * 4, r"\0" * 108, "/" + "p" * 106 + "E", "/tmp/none", "/tmp/none", r"\\0none", ""])


def test_32_bit_system_calls():
    with loaded(), callers() as (program, folder), listening("sensor") as listener:
        if not thirty_two(folder):
            raise kmod.Skip("there are no 32-bit programs here")
        seen = called(listener, program, "int80", "/bin/true")
    equal([event for event, _ in seen], ["unlink", "rename", "connect", "connect", "exec"])
    unlink, rename, *connects, execed = (values for _, values in seen)
    equal((unlink["pathname"], unlink["folder"], rename["newname"]), ("by-int80", "/", "by-int80"))
    equal(only(connects, "family", "port", "address"), [("2", "9", "127.0.0.1")] * 2)
    equal((execed["filename"], argv(execed)), ("/bin/true", ["by-int80"] * 2))


def thirty_two(folder):
    """Makes a 32-bit program, if the compiler and the kernel can; its path, or None."""
    program = f"{folder}/thirty-two"
    text = 'void _start(void) { asm("int $0x80" :: "a"(1), "b"(0)); }'
    built = subprocess.run(["gcc", "-m32", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-x", "c", "-",
                            "-o", program], input=text, text=True, stderr=subprocess.DEVNULL)
    try:
        return program if built.returncode == 0 and subprocess.run([program]).returncode == 0 else None
    except OSError:
        return None


def test_io_uring():
    with loaded(), callers() as (program, folder), listening("sensor") as listener:
        seen = called(listener, program, "io_uring")
    # It may try to connect more than once.
    kinds = [event for n, (event, _) in enumerate(seen) if event != "connect" or n == 0]
    equal(kinds, ["connect", "unlink", "rename"])
    equal({(values["address"], values["port"]) for event, values in seen if event == "connect"}, {("127.0.0.1", "9")})
    equal([(values.get("pathname") or values["oldname"], values.get("folder") or values["oldfolder"])
           for event, values in seen if event != "connect"], [("by-io_uring", "/")] * 2)


def test_names_of_opened_files():
    with callers() as (program, folder), kmod.log("open_names") as log:
        kmod.insmod(ROOT / "samples/open_names.ko")
        try:
            for what in ("open", "int80", "io_uring"):
                subprocess.run([program, what], cwd=folder)
            thirty = thirty_two(folder)
        finally:
            kmod.rmmod("open_names")
        names = [line.split("filename=")[1] for line in log.lines() if line.startswith("comm=callers dfd=-100 ")]
    wanted = ["/cold/name", *["by-int80", "/bin/true"] * bool(thirty), "by-io_uring"]
    # Those of the C library, and of the interpreter of /bin/true.
    equal([name for name in names if name in wanted], wanted, names)


def test_programs_that_the_kernel_starts():
    # Their root is that of the first process.
    helper, setting = "/run/sensor_helper", Path("/proc/sys/kernel/modprobe")
    before = setting.read_text()
    with loaded(), callers(), listening("sensor/exec", "sched/sched_process_exec") as listener:
        subprocess.run(["gcc", "-static", "-x", "c", "-", "-o", helper], input="int main(void) { return 0; }",
                       check=True, text=True)
        listener.records()
        setting.write_text(helper)
        try:
            socket.socket(ECONET, socket.SOCK_DGRAM)
        except OSError:
            pass
        finally:
            setting.write_text(before)
            os.unlink(helper)
        seen = [(event, fields(text)) for event, text in listener.records()]
    equal({values["filename"] for _, values in seen}, {helper})
    executed = [values for event, values in seen if event == "exec"]
    equal(len(executed) * 2, len(seen))
    equal(argv(executed[0]), [helper, "-q", "--", f"net-pf-{ECONET}"])


def test_32_bit_programs():
    with loaded(), callers() as (_, folder), listening("sensor/exec") as listener:
        program = thirty_two(folder)
        if not program:
            raise kmod.Skip("there are no 32-bit programs here")
        listener.records()
        subprocess.run([program, "an argument"], check=True)
        [values] = [fields(text) for _, text in listener.records()]
        equal((values["filename"], argv(values)), (program, [program, "an argument"]))
        equal(int(values["inode"]), os.stat(program).st_ino)


def test_a_program_that_fails_when_the_old_one_is_gone():
    """Its only segment is in no program's memory."""
    machine = {"x86_64": 62, "aarch64": 183}[os.uname().machine]
    identity = b"\x7fELF\2\1\1".ljust(16, b"\0")
    header = struct.pack("=16sHHIQQQIHHHHHH", identity, 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("=IIQQQQQQ", 1, 5, 0, 0xFFFF << 48, 0xFFFF << 48, 64, 64, 0)
    with loaded(), place() as folder, listening("sensor/exec", "sensor/exec_failed") as listener:
        bad = Path(folder) / "bad"
        bad.write_bytes(header + segment)
        bad.chmod(0o755)
        pid = os.fork()
        if pid == 0:
            os.execv(bad, ["bad"])
        equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), -signal.SIGSEGV)
        [(event, text)] = listener.records()
        values = fields(text)
        equal((event, values["path"], values["pid"], values["comm"]), ("exec_failed", "(gone)", str(pid), "bad"))


NAMED = """
import os
open("/proc/self/comm", "wb").write(bytes.fromhex("{}"))
for n in range({}):
    try:
        os.unlink("not there")
    except OSError:
        pass
"""


def named(name, times=1):
    subprocess.run([sys.executable, "-c", NAMED.format(name.hex(), times)], check=True)


@contextmanager
def live(*arguments, **options):
    """sensor_live, which listens."""
    process = subprocess.Popen([LIVE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    try:
        equal(process.stdout.readline(), b"# listening\n")
        yield process
    finally:
        process.kill()
        process.communicate()


def nothing_stays():
    limit = time.monotonic() + 20
    while (left := list((TRACING / "instances").glob("sensor_*"))) or traced():
        if time.monotonic() > limit:
            raise AssertionError(f"left: {left}, probed: {traced()}")
        time.sleep(0.05)


def test_sensor_live_escapes_names():
    names = {b"caf\xc3\xa9": r"caf\xc3\xa9", b"a\x1b[31mred": r"a\x1b[31mred", b"x\nfake-1 [0] x": r"x\nfake-1 [0] x"}
    with loaded():
        with live("unlink", "-f", 'pathname == "not there"') as process:
            for name in names:
                named(name)
            process.terminate()
            out, err = process.communicate()
        equal((err, process.returncode), (b"", 0))
        equal(re.findall(r"comm=(.*) directory=", out.decode("ascii")), list(names.values()))
        equal(len(out.splitlines()), len(names))
        nothing_stays()


def test_sensor_live_leaves_nothing():
    with loaded():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, signal.SIGQUIT):
            with live() as process:
                equal(traced() == [], False, number.name)
                process.send_signal(number)
                process.stdout.read()
                err = process.stderr.read()
                equal(err, b"", number.name)
            nothing_stays()
        # Its reader leaves, and an event comes, or none.
        for times in (0, 3):
            with live("rename" if times == 0 else "unlink") as process:
                process.stdout.close()
                named(b"plain", times)
                equal(process.wait(timeout=20), 0)
                equal(process.stderr.read(), b"")
            nothing_stays()
        # What it was asked for is wrong.
        for wrong in (["-f", "no_such_field == 1"], ["no_such_event"]):
            done = subprocess.run([LIVE, *wrong], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            equal((done.returncode, len(done.stderr.splitlines())), (1, 1), done.stderr)
            nothing_stays()


def main():
    for name, folder in (("tracefs", TRACING), ("debugfs", Path("/sys/kernel/debug"))):
        if not any(folder.iterdir()):
            subprocess.run(["mount", "-t", name, "nodev", folder], check=True)
    return kmod.run("sensor", kmod.tests(globals()), sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
