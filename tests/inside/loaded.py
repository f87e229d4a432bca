# SPDX-License-Identifier: GPL-2.0
"""rust_kprobe.ko in the guest: loaded and unloaded, with the lines that it logs."""
import re
from contextlib import contextmanager

import arch
import kmod
from kmod import equal, kprobe_list, log

MODULE = "rust_kprobe.ko"

# A system call that nobody in the guest makes but these tests.
TARGET = arch.handler_of("getpriority")
# The offset of an instruction in TARGET, and of a place that is none.
INSIDE, WITHIN = arch.offsets(TARGET)
NAP = arch.handler_of("clock_nanosleep")
BURST = 100  # rust_kprobe/report.rs

ADDRESS = r"([0-9a-f]{16}|\(____ptrval____\))"
HOW = "(entry|ftrace|jump|breakpoint)"


def insmod(params=b""):
    kmod.insmod(MODULE, params)


def rmmod():
    kmod.rmmod("rust_kprobe")


def is_loaded():
    return kmod.is_loaded("rust_kprobe")


@contextmanager
def loaded(params=b""):
    """The module, loaded, with its log; unloaded whatever happens."""
    with log() as kmsg:
        insmod(params)
        try:
            yield kmsg
        finally:
            if is_loaded():
                rmmod()


def trigger(times=1):
    """Calls TARGET that often; it returns 20 less the nice value."""
    for _ in range(times):
        value = arch.syscall("getpriority", 0, 0)
        equal(value, 20)


def nothing_left():
    equal(is_loaded(), False)
    equal(kprobe_list(), [])
    equal(traced(), [])


def traced():
    """What ftrace calls somebody for."""
    with open("/sys/kernel/tracing/enabled_functions", encoding="ascii") as functions:
        return [line.split()[0] for line in functions]


def registered(name, kind, place, by=HOW):
    return rf"{name}: registered {kind} at {re.escape(place)} {ADDRESS} by {by}"


def hit(name, when, pid=r"\d+", comm=r'([^"\\]|\\.)*'):
    return rf"{name}: {when} pid={pid} cpu=\d+ comm=\"{comm}\""


def returned(name, value, pid=r"\d+", comm=r'([^"\\]|\\.)*'):
    return rf"{name}: return pid={pid} cpu=\d+ comm=\"{comm}\" ret={value} \({value:#x}\) ns=\d+"
