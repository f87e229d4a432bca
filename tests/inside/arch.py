# SPDX-License-Identifier: GPL-2.0
"""The architecture of the guest, for its tests."""
import ctypes
import errno
import functools
import os

# System call numbers, the prefix of their functions, the mechanism of a probe at a
# function's entry, the errno for an offset within an instruction, and
# a symbol of assembly that is no function.
_X86_64 = {
    "finit_module": 313, "delete_module": 176, "getpriority": 140,
    "prefix": "__x64_sys_", "entry": "ftrace", "within": errno.EILSEQ,
    "assembly": "ret_from_fork_asm",
}
_ARM64 = {
    "finit_module": 273, "delete_module": 106, "getpriority": 141,
    # Kprobes never use ftrace there. A misaligned address is refused before anything
    # is decoded.
    "prefix": "__arm64_sys_", "entry": "breakpoint", "within": errno.EINVAL,
    "assembly": "ret_from_fork",
}
THIS = {"x86_64": _X86_64, "aarch64": _ARM64}[os.uname().machine]

LIBC = ctypes.CDLL(None, use_errno=True)
ENTRY, WITHIN, ASSEMBLY = THIS["entry"], THIS["within"], THIS["assembly"]

EVENTS = "/sys/kernel/tracing/kprobe_events"


def syscall(name, *args):
    return LIBC.syscall(THIS[name], *args)


def handler_of(name):
    """The name of a system call's function."""
    return THIS["prefix"] + name


def _event(definition):
    # Not open(): "w" would remove all events, and "a" seeks.
    events = os.open(EVENTS, os.O_WRONLY)
    try:
        os.write(events, definition.encode())
    finally:
        os.close(events)


def _takes(place):
    """Whether the kernel accepts a kprobe there, through tracefs."""
    try:
        _event(f"p:try/it {place}")
    except OSError as error:
        if error.errno != errno.EILSEQ:
            raise
        return False
    _event("-:try/it")
    return True


def offsets(function):
    """The offset of an instruction in the function, after the ftrace call, and an
    offset within that or a later instruction."""
    if os.uname().machine == "aarch64":
        return 8, 10
    # 5 is after an ftrace call at the entry. It is refused if there is an ENDBR
    # before that call.
    inside = next(n for n in range(5, 64) if _takes(f"{function}+{n}"))
    within = next(n for n in range(inside + 1, 128) if not _takes(f"{function}+{n}"))
    return inside, within


def entry(function):
    """The symbol and offset at which the kernel puts a probe on a function's entry."""
    return f"{function}+{4 if begins_with_endbr(function) else 0:#x}"


@functools.cache
def begins_with_endbr(function):
    """Whether the function begins with an ENDBR, or the four bytes with which the
    kernel has replaced it; then the ftrace call is after them."""
    if os.uname().machine != "x86_64":
        return False
    with open("/proc/kallsyms", encoding="ascii") as kallsyms:
        start = next(int(line.split()[0], 16) for line in kallsyms if line.split()[2] == function)
    with open("/sys/kernel/tracing/available_filter_functions_addrs", encoding="ascii") as traced:
        return any(int(line.split()[0], 16) == start + 4 for line in traced)
