# SPDX-License-Identifier: GPL-2.0
"""Loads and unloads rust_kprobe.ko, with the lines that it logs."""
import os
import re
from contextlib import contextmanager

import arch
import kmod
from kmod import equal, probes

MODULE = "rust_kprobe.ko"

# Only these tests make this system call.
TARGET = arch.handler_of("getpriority")
# The offset of an instruction in TARGET, and an offset within an instruction.
INSIDE, WITHIN = arch.offsets(TARGET)
NAP = arch.handler_of("clock_nanosleep")
BURST = 100  # rust_kprobe/report.rs

ADDRESS = r"([0-9a-f]{16}|\(____ptrval____\))"
HOW = "(entry|ftrace|jump|breakpoint)"
COMM = r'([^"\\]|\\.)*'


@contextmanager
def probing(definitions):
    """Loads the module with these definitions, or with none; yields its log."""
    params = probes(definitions) if definitions is not None else ""
    with kmod.loaded(MODULE, params) as kmsg:
        yield kmsg
    kmod.nothing_left("rust_kprobe")


def rmmod():
    kmod.rmmod("rust_kprobe")


def trigger(times=1):
    """Calls TARGET, which returns 20 less the nice value."""
    for _ in range(times):
        equal(arch.syscall("getpriority", 0, 0), 20)


def mine(kmsg, pid=os.getpid()):
    return [line for line in kmsg.lines() if f" pid={pid} " in line]


def names(kmsg):
    return [line.split(":")[0] for line in kmsg.lines()]


def registered(name, kind, place, by=HOW):
    return rf"{name}: registered {kind} at {re.escape(place)} {ADDRESS} by {by}"


def hit(name, when, pid=r"\d+", comm=COMM):
    return rf"{name}: {when} pid={pid} cpu=\d+ comm=\"{comm}\""


def returned(name, value, pid=r"\d+", comm=COMM):
    return hit(name, "return", pid, comm) + rf" ret={value} \({value:#x}\) ns=\d+"
