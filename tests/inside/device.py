# SPDX-License-Identifier: GPL-2.0
"""The modules of tests/stress: stress.ko, whose probes must count each call, and others."""
import contextlib
import ctypes
import os
import re
import threading

import arch
from arch import LIBC, checked, inside
from kmod import (CPUS, Threads, check, equal, insmod, loaded, nothing_left, read, rmmod, until,
                  write)
from kmod import run as kmod_run

# tests/stress/targets.c
TARGET, EXACT, INNER, IRQ, SOFTIRQ, SLEEP, USER, NMI = range(8)
NUMBERS = {"target": TARGET, "exact": EXACT, "inner": INNER, "irq": IRQ, "softirq": SOFTIRQ,
           "user": USER, "nmi": NMI}
AT = {number: f"stress:stress_{name}" for name, number in NUMBERS.items()}
# tests/stress/stress.rs
(BEFORE, AROUND, NESTED, READER, FOLLOWED, SET, RETURN_SET, TRACED, ENTRY, ENTRY_SET,
 ENTRY_NESTED, MATCHING, ENTRY_EXCLUSIVE, COLLECT, COLLECT_ENTRY, COLLECT_TRACED) = range(16)
HITS, MISSED, RETURNS, WRONG, FAULTS = range(5)
(IO_CALL, IO_COUNTED, IO_TIMERS, IO_SLEEP, IO_USER, IO_ADD, IO_DROP, IO_ENABLE, IO_DISABLE,
 IO_ASK) = (ord("k") << 8 | n for n in range(10))
IO_COLLECTED, IO_DRAIN = ord("k") << 8 | 12, ord("k") << 8 | 13

# Kinds of probes for exact(), and whether they are inside the function.
ALL_KINDS = ((BEFORE, False), (BEFORE, True), (FOLLOWED, False))
TWO_ENTRIES = ((ENTRY, False), (ENTRY, False))
VICTIM = "stress_victim:stress_victim"


def stress(module, params=""):
    return loaded(f"tests/stress/{module}.ko", params)


def refused_member():
    """The index of the target for which a set was last refused, from the log."""
    end = ctypes.create_string_buffer(1 << 16)
    size = checked(LIBC.klogctl(3, end, len(end)))  # SYSLOG_ACTION_READ_ALL
    found = re.findall(rb"stress: \w+ (\d+) of a set at ", end.raw[:size])
    return int(found[-1]) if found else 0


class Device:
    """An open /dev/stress. Closing it drops its probes."""

    def __init__(self):
        self.fd = os.open("/dev/stress", os.O_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def ioctl(self, what, arg=0):
        return checked(LIBC.ioctl(self.fd, ctypes.c_ulong(what), ctypes.c_ulong(arg)))

    def ask(self, what, question):
        word = ctypes.c_uint64(question)
        self.ioctl(what, ctypes.addressof(word))
        return word.value

    def add(self, kind, *places, max_active=0):
        os.write(self.fd, b"".join(p.replace("+", "\n+").encode() + b"\n" for p in places))
        return Held(self, self.ioctl(IO_ADD, kind | max_active << 8))

    def call(self, which, times):
        self.ioctl(IO_CALL, which | times << 8)

    def counted(self, which):
        return self.ask(IO_COUNTED, which)


class Held:
    def __init__(self, device, index):
        self.device, self.index = device, index

    def ask(self, *what):
        found = tuple(self.device.ask(IO_ASK, one | self.index << 8) for one in what)
        return found if len(found) > 1 else found[0]

    def seen(self):
        return sum(self.ask(HITS, MISSED))

    def enable(self, on):
        self.device.ioctl(IO_ENABLE if on else IO_DISABLE, self.index)

    def drop(self):
        self.device.ioctl(IO_DROP, self.index)


def drop(*helds):
    for held in helds:
        held.drop()


@contextlib.contextmanager
def fire(device, *which):
    """All CPUs call these functions while the block runs."""
    with Threads() as threads:
        for target in which * CPUS:
            threads.start(device.call, target, 500, name="fire")
        yield threads


@contextlib.contextmanager
def exact(device, **kinds):
    """Keeps probes on functions during the block: {function: kinds}. They must count each call."""
    held = []
    for name, wanted in kinds.items():
        function = AT[NUMBERS[name]]
        for kind, within in wanted:
            place = inside(function) if within else function
            held.append((name, kind, place, device.add(kind, place, max_active=64)))
    before = {name: device.counted(NUMBERS[name]) for name in kinds}
    # Calls between the registration and here. There are none yet.
    started = [probe.seen() for *_, probe in held]
    figures = Figures()
    yield figures
    calls = {name: device.counted(NUMBERS[name]) - before[name] for name in kinds}
    figures.calls, figures.probes = sum(calls.values()), len(held)
    for (name, kind, place, probe), start in zip(held, started):
        what = f"kind {kind} at {place}"
        equal(probe.seen() - start, calls[name], what)
        figures.missed += probe.ask(MISSED)
        if kind == FOLLOWED:
            equal(probe.ask(RETURNS), probe.ask(HITS), what + ": returns")
            equal(probe.ask(WRONG), 0, what + ": wrong data")
        probe.drop()


class Figures:
    calls = missed = probes = 0

    def __str__(self):
        return f"{self.calls} calls, {self.missed} missed by {self.probes} probes in total"


def come_and_go(threads, *churns):
    """Threads repeatedly register and drop probes, each `(kind, place...)`."""
    def churn(kind, *places):
        with Device() as mine:
            for _ in range(3):
                mine.add(kind, *places, max_active=8).drop()

    for one in churns:
        threads.start(churn, *one, name="churn")


def toggled(device, seconds, *probes):
    """Threads enable and disable probes, each `(kind, place)` in TARGET, while all CPUs call it;
    returns how often. Afterwards, each probe has hits only while it is enabled."""
    helds = [device.add(*probe) for probe in probes]
    with fire(device, TARGET) as threads:
        for held in helds:
            for on in True, False:
                threads.start(held.enable, on, name="toggle")
        threads.stopped.wait(seconds)
    calls = device.counted(TARGET)
    for held in helds:
        check(held.seen() <= calls, f"{held.seen()} hits of {calls} calls")
        held.enable(True)
        before = held.seen()
        for on in True, False:
            held.enable(on)
            device.call(TARGET, 10)
            equal(held.seen(), before + 10, f"enabled: {on}")
        held.drop()
    return threads.count("toggle")


def collected(device):
    """Checks the sums of the maps. Returns what a CountMap and a Map dropped, and the hits."""
    wrong, full, busy, hits, *sums = (device.ask(IO_COLLECTED, n) for n in range(11))
    equal((wrong, sums), (0, 7 * [hits]), "what is wrong, and the sums")
    return full, busy, hits


# An argument of stress_timers().
WITH_NMIS = 2


def maps_add_up(seconds, in_nmis=((COLLECT_ENTRY, False),), tracepoints=()):
    """Handlers in all contexts add to maps, while other threads read and drain them. Nothing is
    lost: entries, drained and dropped counts add up to the hits."""
    entry = ((COLLECT_ENTRY, False),)
    with Device() as device:
        with exact(device, target=((COLLECT, False), *entry), irq=entry, softirq=entry,
                   nmi=in_nmis) as figures:
            traced = [device.add(COLLECT_TRACED, name) for name in tracepoints]
            with fire(device, TARGET) as threads:
                device.ioctl(IO_TIMERS, WITH_NMIS)
                for one in 0, 1, 1:
                    threads.start(device.ioctl, IO_DRAIN, one, name=("reads", "drains")[one])
                threads.stopped.wait(seconds)
                device.ioctl(IO_TIMERS, 0)
            check(all(held.ask(HITS) for held in traced), "a tracepoint was not hit")
            drop(*traced)
        full, busy, hits = collected(device)
        reads, drains = threads.count("reads"), threads.count("drains")
        check(full and reads and drains, f"{full} dropped, {reads} reads, {drains} drains")
        check(device.counted(NMI) or arch.ENTRY != "ftrace", "no NMI came")
    return (f"{hits} hits, {full} dropped by a full CountMap, {busy} by a busy Map; {reads} reads, "
            f"{drains} drains; {figures}")


def call_victim(times):
    write("/sys/module/stress_victim/parameters/call", times)


@contextlib.contextmanager
def held_late(change):
    """Runs `change`, which stress_late holds until the end of the block."""
    held = "/sys/module/stress_late/parameters/held"
    changing = threading.Thread(target=change)
    changing.start()
    try:
        until(lambda: read(held) == "Y\n", "stress_late")
        yield
    finally:
        write(held, "N")
        changing.join()


@contextlib.contextmanager
def cpu_held_offline():
    """Takes the last CPU offline; stress_late, with offline=1, holds it until the end."""
    online = f"/sys/devices/system/cpu/cpu{CPUS - 1}/online"
    try:
        with held_late(lambda: write(online, 0)):
            yield
    finally:
        write(online, 1)


def waits_for_a_cpu(step):
    """Checks that the step waits for a CPU that goes offline, which RCU no longer does in the
    CPU's last steps, where functions are probed and handlers emit records."""
    done = threading.Event()
    doing = threading.Thread(target=lambda: (step(), done.set()))
    with cpu_held_offline():
        doing.start()
        check(not done.wait(1), "it ended while the CPU goes offline")
    doing.join()


def run(suite, tests, wanted=()):
    insmod("tests/stress/stress.ko")
    status = kmod_run(suite, tests, wanted)
    nothing_left()
    rmmod("stress")
    return status
