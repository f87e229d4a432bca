#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Runs the attacks of tests/attacks in the guest. Checks insmod's errno, the kernel's log and list
of kprobes, and that programs still work. Prints KTAP.

usage: attacks.py all | races [CASE...]	attacks that are refused or harmless
       attacks.py CASE			one that the kernel stops
"""
import ctypes
import functools
import os
import re
import signal
import subprocess
import sys
import time

import arch
import kmod
from attacks_cases import cases, of
from kmod import CPUS, TRACING, check, equal, kprobe_list, outcome, read, refused

sys.path.append("qemu")

from verdict import FAULTS

MODULE = "tests/attacks/attacks.ko"
VICTIM = "tests/stress/stress_victim.ko"
KMEMLEAK = "/sys/kernel/debug/kmemleak"
CALLS = 100
# A kernel address of x86-64 that is not hashed, except an errno as a pointer.
RAW = re.compile(r"(?<![0-9a-f])(?!f{13})ffff[0-9a-f]{12}(?![0-9a-f])")


def secret():
    """Maps the page that tests/attacks/memory.rs reads, for this program and its threads."""
    place, size = ctypes.c_void_p(0x10000000), ctypes.c_size_t(4096)
    equal(arch.LIBC.mmap(place, size, 3, 0x32, -1, ctypes.c_long(0)), place.value)
    ctypes.memset(place, 42, 4096)


def calls():
    for n in range(CALLS):
        equal(os.getpriority(os.PRIO_PROCESS, 0), 0)
        os.setpriority(os.PRIO_PROCESS, 0, 0)


def calls_of_32_bits():
    """calls() by a 32-bit program."""
    for n in range(CALLS):
        equal(arch.int80()(96, 0, 0, 0), 20)


def system_works():
    done = subprocess.run(["/bin/sh", "-c", "/bin/echo here; exit 42"], stdout=subprocess.PIPE)
    equal((done.stdout, done.returncode), (b"here\n", 42))
    refused("ENOENT", os.open, "/no/such/file", os.O_RDONLY)
    got = []
    before = signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
    signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)
    equal(got, [1])


def own_symbols(pattern):
    """The symbols of the module that match. The kernel lists them while the module is loaded."""
    with kmod.loaded(MODULE, "attack=macros/parameters"):
        names = re.findall(r" (\S+)\t\[attacks\]$", read("/proc/kallsyms"), re.MULTILINE)
    found = sorted({name for name in names if re.search(pattern, name)})
    check(found, f"no symbol matches {pattern}")
    return found


def without_kprobes():
    """The functions that ftrace can trace and kprobes refuse."""
    blacklist = read("/sys/kernel/debug/kprobes/blacklist").splitlines()
    traced = read(TRACING / "available_filter_functions").split()
    return sorted({line.split()[1] for line in blacklist} & set(traced))


def tracepoints():
    found = [line.split(":") for line in read(TRACING / "available_events").splitlines()]
    return sorted({name for system, name in found if system != "syscalls"})


# The names for the parameter `argument`.
ARGUMENTS = {
    # Code that runs on each hit outside of the guard, and code that unregisters probes at the exit.
    "entries/own_callback": lambda: own_symbols("5entry3hit") + [f"attacks:{name}" for name in (
        "kprobes_preempt_schedule", "unregister_all", "unregister_watch", "kprobes_unregister",
        "kprobes_remove_registration", "kprobes_tracepoint_enable", "kprobes_entry_detach",
        "kprobes_wait")],
    "entries/own_handler": lambda: own_symbols("7entries7handled$"),
    "entries/without_kprobes": without_kprobes,
    "everywhere/tracepoints": tracepoints,
    "everywhere/offsets":
        "schedule handle_mm_fault vfs_read kfree try_to_wake_up".split,
    "everywhere/returns":
        ("do_exit kernel_clone schedule_tail kthread worker_thread vfs_read schedule "
         "schedule_timeout do_nanosleep kmem_cache_free begin_new_exec load_elf_binary "
         "ret_from_fork arch_do_signal_or_restart __x64_sys_rt_sigreturn handle_mm_fault "
         "try_to_wake_up mutex_lock do_group_exit release_task").split,
}


def params(case):
    names = ARGUMENTS.get(case.name, list)()
    argument = f" argument={','.join(names)}" if names else ""
    return case.given.replace("LIMIT", 65_536 * "x") + argument


def lines_of(log):
    """The lines of the module. The others must not report a fault."""
    lines = log.lines()
    equal([line for line in lines if FAULTS.search(line)], [], "kernel faults")
    equal([line for line in lines if RAW.search(line)], [], "addresses that are not hashed")
    said = [line.removeprefix("attacks: ") for line in lines if line.startswith("attacks: ")]
    return [line for line in said if "taint" not in line]


def meanwhile(case, races):
    if case.held is not None:
        equal(len(kprobe_list()), case.held, "kprobes on the kernel's list")
    check(not os.path.exists("/sys/module/attacks/parameters"),
          "its parameters can be read, and set, while it is there")
    if case.name == "system_calls/of_32_bits":
        calls_of_32_bits()
    elif races:
        kmod.on_each_cpu(calls)
    else:
        calls()
    system_works()
    if case.victim:
        rounds, _, arguments = case.victim.partition(" ")
        for _ in range(int(rounds)):
            if not outcome(kmod.insmod, VICTIM, arguments):
                kmod.write("/sys/module/stress_victim/parameters/call", 5)
                kmod.rmmod("stress_victim")
    if case.opens:
        with open(case.opens, "rb"):
            refused("EAGAIN", kmod.rmmod, "attacks")


def version(release):
    return [int(number) for number in re.findall(r"\d+", release)]


def attempt(case, races=False):
    if version(case.since) > version(os.uname().release)[:2]:
        raise kmod.Skip(f"since Linux {case.since}")
    if case.name == "system_calls/of_32_bits" and not arch.takes_32_bits():
        raise kmod.Skip("32-bit programs are not supported")
    given = params(case)
    with kmod.log("") as log:
        kmod.write("/dev/kmsg", f"attack: {case.name}\n")
        number = outcome(kmod.insmod, MODULE, given)
        equal(number, case.wanted if case.outcome == "refused" else "", "insmod's errno")
        if case.outcome != "refused":
            meanwhile(case, races)
            kmod.rmmod("attacks")
        equal(kprobe_list(), [])
        if os.path.exists("/proc/lockdep"):
            read("/proc/lockdep")
        said = lines_of(log)
        for pattern, some in case.says:
            pattern = pattern.replace("CALLS", str(CALLS * (CPUS if races else 1)))
            kmod.match(said.pop(0) if said else "nothing more", pattern)
            while some and said and re.fullmatch(pattern, said[0]):
                said.pop(0)
        equal(said, [], "unexpected log lines")
    calls()
    system_works()
    check(not kmod.is_loaded("attacks"), "the module is still there")


def test(case, races):
    try:
        attempt(case, races)
    finally:
        if kmod.is_loaded("attacks"):
            outcome(kmod.rmmod, "attacks")


def nothing_is_leaked():
    """Queries kmemleak, like qemu/inside/judged."""
    if not os.path.exists(KMEMLEAK):
        raise kmod.Skip("no CONFIG_DEBUG_KMEMLEAK")
    time.sleep(6)
    for word in ("scan=off", "scan", "scan"):
        kmod.write(KMEMLEAK, word)
    equal(read(KMEMLEAK).splitlines()[:40], [])


def stopped(case):
    load = functools.partial(kmod.insmod, MODULE, params(case))
    for step in (load, calls, system_works, lambda: kmod.rmmod("attacks")):
        kmod.check_lockdep()
        step()


def main():
    secret()
    what, *names = sys.argv[1:]
    if what not in ("all", "races"):
        return stopped(next(case for case in cases() if case.name == what))
    races = what == "races"
    wanted = [case for case in of(("harmless", "refused"), names) if case.races or not races]
    title = f"attacks on {CPUS} CPUs at once" if races else "attacks"

    def named(leaves):
        return [(f"{case.name} is {case.outcome}" + (f" with {case.wanted}" if case.wanted else ""),
                 functools.partial(test, case, races)) for case in wanted if case.leaves == leaves]

    # Probes that are never dropped leak memory, so these cases come last.
    return kmod.run(title, named(False) + [("nothing leaks", nothing_is_leaked)] + named(True))


if __name__ == "__main__":
    sys.exit(main())
