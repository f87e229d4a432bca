#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Makes the attacks of tests/attacks in the guest, and looks from outside what
came of them: at insmod's errno, at the kernel's log, at its list of kprobes, and
at what programs see of the system meanwhile. Prints KTAP.

usage: attacks.py all | races	those that are refused, or harmless
       attacks.py CASE		one that the kernel stops
"""
import contextlib
import ctypes
import errno
import functools
import mmap
import os
import re
import signal
import subprocess
import sys
import threading
import time

import kmod
from arch import LIBC
from cases import cases, of
from kmod import equal, kprobe_list

sys.path.append("qemu")

from verdict import FAULTS

MODULE = "tests/attacks/attacks.ko"
KMEMLEAK = "/sys/kernel/debug/kmemleak"
CALLS = 100
# A call that takes longer than this many seconds hangs.
PATIENCE = 300
# An address as the kernel's are on x86-64, and not hashed.
# An errno as a pointer is none.
RAW = re.compile(r"(?<![0-9a-f])(?!f{13})ffff[0-9a-f]{12}(?![0-9a-f])")


class Hangs(Exception):
    """Raised where a system call does not come back: nothing more can be tried."""


class Log(kmod.Log):
    """All lines of the kernel's log from here on."""

    def __init__(self):
        super().__init__("")
        self.prefix = ""


def secret():
    """A page that this program and its threads can read, at the place where
    tests/attacks/memory.rs looks for it."""
    area = LIBC.mmap(ctypes.c_void_p(0x10000000), ctypes.c_size_t(4096), 3, 0x32, -1, ctypes.c_long(0))
    equal(area, 0x10000000)
    ctypes.memset(area, 42, 4096)


def without_end(function, *args):
    """Runs it in a child, which can be left behind; the errno it failed with."""
    child = os.fork()
    if child == 0:
        try:
            function(*args)
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            if os.WIFSIGNALED(status):
                raise AssertionError(f"{function.__name__}: killed by {os.WTERMSIG(status)}")
            return os.WEXITSTATUS(status)
        time.sleep(0.01)
    raise Hangs(f"{function.__name__} hangs")


def calls():
    """The calls that attacks are on."""
    for n in range(CALLS):
        equal(os.getpriority(os.PRIO_PROCESS, 0), 0)
        os.setpriority(os.PRIO_PROCESS, 0, 0)


# getpriority() by `int $0x80` with both arguments 0, and others in the 64-bit registers.
INT80 = bytes.fromhex("53 b860000000 31db 31c9 bf07000000 be08000000 cd80 5b c3")


def calls_of_32_bits():
    """As calls(), but as a 32-bit program makes them."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(INT80)
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    for n in range(CALLS):
        equal(function(), 20)


def system_works():
    """What any program does, with its results."""
    equal(subprocess.run(["/bin/echo", "here"], stdout=subprocess.PIPE, check=True).stdout, b"here\n")
    try:
        os.open("/no/such/file", os.O_RDONLY)
    except OSError as error:
        equal(error.errno, errno.ENOENT)
    else:
        raise AssertionError("a file is there that is not")
    child = os.fork()
    if child == 0:
        os._exit(42)
    equal(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 42)
    got = []
    before = signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
    signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)
    equal(got, [1])
    read, write = os.pipe()
    os.write(write, b"through")
    equal(os.read(read, 100), b"through")
    os.close(read)
    os.close(write)


def on_each_cpu(function):
    """Runs it on all CPUs at once."""
    cpus = os.cpu_count()
    begin = threading.Barrier(cpus)
    failed = []

    def run(cpu):
        os.sched_setaffinity(0, {cpu})
        begin.wait()
        try:
            function()
        except AssertionError as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(cpu,)) for cpu in range(cpus)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in failed:
        raise error


def own_symbols(pattern):
    """The symbols of the module that match. The kernel lists them while it is loaded."""
    equal(kmod.insmod(MODULE, b"attack=entries/counts"), None)
    with open("/proc/kallsyms", encoding="ascii") as symbols:
        names = {words[2] for words in map(str.split, symbols) if words[3:] == ["[attacks]"]}
    kmod.rmmod("attacks")
    found = sorted(name for name in names if re.search(pattern, name))
    if not found:
        raise AssertionError(f"no symbol matches {pattern}")
    return found


def without_kprobes():
    """The functions that ftrace can trace and kprobes refuse."""
    with open("/sys/kernel/debug/kprobes/blacklist", encoding="ascii") as file:
        refused = {line.split()[1] for line in file}
    with open("/sys/kernel/tracing/available_filter_functions", encoding="ascii") as file:
        return sorted(refused & {line.split()[0] for line in file})


def symbols():
    with open("/proc/kallsyms", encoding="ascii") as lines:
        return {line.split()[2] for line in lines}


def argument(case):
    """What some attacks want to know: names."""
    if case.name == "entries/own_callback":
        return own_symbols("5entry3hit|^kprobes_preempt_schedule$")
    if case.name == "entries/own_handler":
        return own_symbols("7entries7handled$")
    if case.name == "entries/without_kprobes":
        return without_kprobes()
    if case.name == "everywhere/tracepoints":
        with open("/sys/kernel/tracing/available_events", encoding="ascii") as events:
            found = [line.strip().split(":") for line in events]
        return sorted({name for system, name in found if system != "syscalls"})
    if case.name == "everywhere/offsets":
        return ["schedule", "handle_mm_fault", "vfs_read", "kfree", "try_to_wake_up"]
    if case.name == "everywhere/returns":
        return ["do_exit", "kernel_clone", "schedule_tail", "kthread", "worker_thread", "vfs_read",
                "schedule", "schedule_timeout", "do_nanosleep", "kmem_cache_free", "begin_new_exec",
                "load_elf_binary", "ret_from_fork", "arch_do_signal_or_restart", "__x64_sys_rt_sigreturn",
                "handle_mm_fault", "try_to_wake_up", "mutex_lock", "do_group_exit", "release_task"]
    return []


def load(case, names):
    words = [f"attack={case.name}"]
    if names:
        words.append(f"argument={','.join(names)}")
    words.append(case.given.replace("LIMIT", 65_536 * "x"))
    return without_end(kmod.insmod, MODULE, " ".join(words).encode())


def lines_of(log):
    """What the module said, of what the kernel did; which must not complain."""
    lines = log.lines()
    bad = [line for line in lines if FAULTS.search(line)]
    equal(bad, [], "the kernel complains")
    equal([line for line in lines if RAW.search(line)], [], "addresses that are not hashed")
    said = [line.removeprefix("attacks: ") for line in lines if line.startswith("attacks: ")]
    return [line for line in said if "taint" not in line]


def stays_while_open(path):
    """The module cannot be unloaded while a program has this file open."""
    fd = os.open(path, os.O_RDONLY)
    equal(errno.errorcode.get(without_end(kmod.rmmod, "attacks")), "EAGAIN", "rmmod with an open file")
    os.close(fd)


def read_lockdep():
    """The names of all lock classes, on a kernel with lockdep."""
    if os.path.exists("/proc/lockdep"):
        with open("/proc/lockdep", "rb") as lockdep:
            lockdep.read()


def attempt(case, races=False):
    if [int(n) for n in case.since.split(".")] > [int(n) for n in os.uname().release.split(".")[:2]]:
        raise kmod.Skip(f"since Linux {case.since}")
    if case.name == "system_calls/of_32_bits" and "__ia32_sys_getpriority" not in symbols():
        raise kmod.Skip("this kernel takes no 32-bit programs")
    names = argument(case)
    with contextlib.closing(Log()) as log:
        with open("/dev/kmsg", "w", encoding="ascii") as kmsg:
            kmsg.write(f"attack: {case.name}\n")
        number = load(case, names)
        if case.outcome == "refused":
            equal(number, getattr(errno, case.wanted), "insmod's errno")
        else:
            equal(errno.errorcode.get(number), None)
            if case.held is not None:
                equal(len(kprobe_list()), case.held, "kprobes on the kernel's list")
            if os.path.exists("/sys/module/attacks/parameters"):
                raise AssertionError("its parameters can be read, and set, while it is there")
            if case.name == "system_calls/of_32_bits":
                calls_of_32_bits()
            elif races:
                on_each_cpu(calls)
            else:
                calls()
            system_works()
            if case.opens:
                stays_while_open(case.opens)
            equal(errno.errorcode.get(without_end(kmod.rmmod, "attacks")), None)
        equal(kprobe_list(), [])
        read_lockdep()
        times = CALLS * (os.cpu_count() if races else 1)
        said = lines_of(log)
        for pattern, some in case.says:
            pattern = pattern.replace("CALLS", str(times))
            kmod.match(said.pop(0) if said else "nothing more", pattern)
            while some and said and re.fullmatch(pattern, said[0]):
                said.pop(0)
        equal(said, [], "more lines than it may say")
    calls()
    system_works()
    if kmod.is_loaded("attacks"):
        raise AssertionError("the module is still there")


def nothing_is_leaked():
    """Asks kmemleak, as qemu/inside/judged does."""
    if not os.path.exists(KMEMLEAK):
        raise kmod.Skip("this kernel has no kmemleak")
    time.sleep(6)
    for word in ("scan=off", "scan", "scan"):
        with open(KMEMLEAK, "w", encoding="ascii") as kmemleak:
            kmemleak.write(word)
    with open(KMEMLEAK, encoding="ascii") as kmemleak:
        equal(kmemleak.read().splitlines()[:40], [])


def main():
    secret()
    what = sys.argv[1]
    if what not in ("all", "races"):
        case = next(case for case in cases() if case.name == what)
        steps = (lambda: load(case, argument(case)), calls, system_works,
                 lambda: without_end(kmod.rmmod, "attacks"))
        for step in steps:
            kmod.check_lockdep()
            step()
        return 0
    wanted = [case for case in of(("harmless", "refused"))
              if (what == "all" or case.races) and (not sys.argv[2:] or case.name in sys.argv[2:])]
    lost = []

    def test(case):
        if lost:
            raise AssertionError(f"not tried: {lost[0]}")
        try:
            attempt(case, what == "races")
        except Hangs as hangs:
            lost.append(f"{case.name}: {hangs}")
            raise AssertionError(str(hangs)) from None
        finally:
            if kmod.is_loaded("attacks") and not lost:
                with contextlib.suppress(OSError):
                    kmod.rmmod("attacks")

    def named(cases_):
        return [(f"{case.name} is {case.outcome}" + (f", {case.wanted}" if case.wanted else ""),
                 functools.partial(test, case)) for case in cases_]

    # What is left behind stays allocated, so those come last.
    return kmod.run("attacks" if what == "all" else f"attacks on {os.cpu_count()} CPUs at once",
                    named(case for case in wanted if not case.leaves)
                    + [("nothing is leaked", nothing_is_leaked)]
                    + named(case for case in wanted if case.leaves))


if __name__ == "__main__":
    sys.exit(main())
