# SPDX-License-Identifier: GPL-2.0
"""Hits wherever there can be one: in handlers, in interrupts, where memory goes away."""
import contextlib
import ctypes
import itertools
import mmap
import time

from arch import LIBC
from device import (BEFORE, FAULTS, FOLLOWED, HITS, INNER, IO_TIMERS, IO_USER, IRQ, NESTED,
                    READER, SOFTIRQ, TARGET, WRONG, Device)
from fire import CPUS, ALL_KINDS, Threads, exact, fire, inside, tell
from form import SECONDS
from kmod import checked, equal


def test_a_handler_calls_a_probed_function():
    with Device() as device, exact(device, inner=ALL_KINDS) as figures:
        before = device.counted(INNER)
        outer = device.add(NESTED, "stress:stress_target")
        within = device.add(NESTED, inside(device, "stress:stress_target"))
        with fire(device, TARGET, INNER) as threads:
            threads.stopped.wait(SECONDS)
        hits = outer.ask(HITS) + within.ask(HITS)
        outer.drop()
        within.drop()
        calls = device.counted(INNER) - before
        if hits == 0 or calls <= hits:
            raise AssertionError(f"{hits} nested calls of {calls}")
    # A hit in a handler is missed, each by three probes.
    if figures["missed"] < 3 * hits:
        raise AssertionError(f"{figures['missed']} missed, {hits} nested")
    return f"{hits} calls by handlers, {tell(figures)}"


def test_interrupts_and_softirqs():
    kernel = ["handle_softirqs", "hrtimer_interrupt", "tick_nohz_handler", "update_process_times",
              "run_timer_softirq", "try_to_wake_up", "__schedule"]
    known = []

    def churn(kind, place):
        with Device() as mine:
            mine.add(kind, place, max_active=64).drop()

    with Device() as device:
        # Not all of them are there, and __schedule() is notrace: no kretprobe is taken there.
        for kind, place in itertools.product((BEFORE, FOLLOWED), kernel):
            with contextlib.suppress(OSError):
                device.add(kind, place).drop()
                known.append((kind, place))
        if len(known) < 6:
            raise AssertionError(f"only {known} can be probed")
        with exact(device, irq=ALL_KINDS, softirq=ALL_KINDS, target=ALL_KINDS) as figures:
            staying = [device.add(kind, place, max_active=64) for kind, place in known]
            with fire(device, TARGET) as threads:
                device.ioctl(IO_TIMERS, 1)
                for kind, place in known[:3] + known[-3:]:
                    threads.start(churn, kind, place)
                threads.stopped.wait(SECONDS)
                device.ioctl(IO_TIMERS, 0)
            hits = sum(held.ask(HITS) for held in staying)
            for held in staying:
                held.drop()
        if device.counted(IRQ) == 0 or device.counted(SOFTIRQ) == 0 or hits == 0:
            raise AssertionError("no interrupt came")
    return f"{hits} hits of {len(known)} probes in the kernel, {tell(figures)}"


def test_strings_are_read_while_their_page_comes_and_goes():
    """32 letters across two pages, of which the second is exchanged or taken away."""
    LIBC.mmap.restype = ctypes.c_void_p
    LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
    LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    page, fixed = mmap.PAGESIZE, 0x10
    prot, anonymous = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    at = LIBC.mmap(None, 2 * page, prot, anonymous, -1, 0)
    string = at + page - 16
    ctypes.memmove(string, b"A" * 16, 16)
    exchanged = []

    def exchange(letter):
        # Both states last until the others have had their turn.
        checked(LIBC.munmap(at + page, page))
        time.sleep(0.001)
        if LIBC.mmap(at + page, page, prot, anonymous | fixed, -1, 0) != at + page:
            raise AssertionError("mmap moved it")
        ctypes.memmove(at + page, letter * 16, 16)
        time.sleep(0.001)
        exchanged.append(1)

    def alternate():
        exchange(b"A")
        exchange(b"B")

    with Device() as device, exact(device, user=((READER, False),)) as figures:
        reader = device.add(READER, "stress:stress_user")
        with Threads() as threads:
            threads.start(alternate)
            for _ in range(CPUS):
                threads.start(device.ioctl, IO_USER, string)
            threads.stopped.wait(SECONDS)
        hits, faults, wrong = (reader.ask(what) for what in (HITS, FAULTS, WRONG))
        reader.drop()
    LIBC.munmap(at, 2 * page)
    equal(wrong, 0, "strings that nobody wrote")
    if not 0 < faults < hits:
        raise AssertionError(f"{faults} faults of {hits} reads")
    return f"{len(exchanged)} exchanges, {hits} reads, {faults} EFAULT, {tell(figures)}"
