# SPDX-License-Identifier: GPL-2.0
"""The guest's architecture: its system calls, and places for kprobes."""
import ctypes
import errno
import functools
import mmap
import os

# System call numbers, the prefix of their functions, the mechanism of a probe at a function's
# entry, the errno for an offset within an instruction, and a symbol of assembly.
_X86_64 = {
    "finit_module": 313, "delete_module": 176, "getpriority": 140, "prefix": "__x64_sys_",
    "entry": "ftrace", "within": "EILSEQ", "assembly": "ret_from_fork_asm",
}
_ARM64 = {
    # Kprobes never use ftrace there. A misaligned address is refused before it is decoded.
    "finit_module": 273, "delete_module": 106, "getpriority": 141, "prefix": "__arm64_sys_",
    "entry": "breakpoint", "within": "EINVAL", "assembly": "ret_from_fork",
}
_RISCV64 = {**_ARM64, "prefix": "__riscv_sys_", "within": "EILSEQ",
            "assembly": "ret_from_fork_kernel_asm"}
X86_64 = os.uname().machine == "x86_64"
RISCV64 = os.uname().machine == "riscv64"
_THIS = _X86_64 if X86_64 else _RISCV64 if RISCV64 else _ARM64
ENTRY, WITHIN, ASSEMBLY = _THIS["entry"], _THIS["within"], _THIS["assembly"]

LIBC = ctypes.CDLL(None, use_errno=True)
TRACING = "/sys/kernel/tracing"


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def syscall(name, *args):
    return LIBC.syscall(_THIS[name], *args)


def handler_of(name):
    return _THIS["prefix"] + name


def int_result(value):
    """The register in which a function returns that int. riscv64 extends the sign; elsewhere, the
    upper half is often zero."""
    return value % 2**(64 if RISCV64 else 32)


@functools.cache
def int80():
    """A 32-bit system call, with other values in the 64-bit one's registers: int80()(number,
    ...)"""
    # push %rbx; mov %edi,%eax; mov %esi,%ebx; xchg %ecx,%edx; mov $7,%edi; mov $8,%esi; int $0x80
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("53 89f8 89f3 87d1 bf07000000 be08000000 cd80 5b c3"))
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    call = ctypes.CFUNCTYPE(ctypes.c_int, *4 * [ctypes.c_uint32])(address)
    call.code = code  # As long as there is a call, there is the code.
    return call


def takes_32_bits():
    return X86_64 and "__ia32_sys_getpriority" in symbols()


def symbols():
    """{name: address} of /proc/kallsyms. The first address of a name counts, as for the kernel."""
    with open("/proc/kallsyms", encoding="ascii") as kallsyms:
        lines = [line.split() for line in kallsyms]
    return {line[2]: int(line[0], 16) for line in reversed(lines)}


def _takes(place):
    """Whether the kernel accepts a kprobe there, by tracefs."""
    # open() with "w" would remove all events, and with "a" it seeks.
    events = os.open(f"{TRACING}/kprobe_events", os.O_WRONLY)
    try:
        os.write(events, f"p:try/it {place}".encode())
        os.write(events, b"-:try/it")
        return True
    except OSError as error:
        if error.errno != errno.EILSEQ:
            raise
        return False
    finally:
        os.close(events)


@functools.cache
def offsets(function):
    """The offsets of an instruction after the ftrace call, and of a place within one."""
    if not X86_64 and not RISCV64:
        return 8, 10
    # 5 is after an ftrace call at the entry. If an ENDBR precedes that call, 5 is refused.
    inside = next(n for n in range(5, 64) if _takes(f"{function}+{n}"))
    within = next(n for n in range(inside + 1, 128) if not _takes(f"{function}+{n}"))
    return inside, within


def inside(function):
    return f"{function}+{offsets(function)[0]}"


@functools.cache
def ftrace_call(function):
    with open(f"{TRACING}/available_filter_functions_addrs", encoding="ascii") as traced:
        call = next(int(line.split()[0], 16) for line in traced if line.split()[1] == function)
    return f"{function}+{call - symbols()[function]:#x}"


def begins_with_endbr(function):
    """Whether it begins with an ENDBR, or the kernel's replacement. The ftrace call follows."""
    return X86_64 and ftrace_call(function).endswith("+0x4")


def entry(function):
    return f"{function}+{4 if begins_with_endbr(function) else 0:#x}"
