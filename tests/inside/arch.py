# SPDX-License-Identifier: GPL-2.0
"""The architecture of the guest: its system calls, and where its kernel takes kprobes."""
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
    # Kprobes never use ftrace there. A misaligned address is refused before anything is decoded.
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
    """Checks the result of a function of the C library; raises OSError."""
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
    """A function that makes a 32-bit system call with up to three arguments, and has other values
    in the registers of a 64-bit one: int80()(number, ebx, ecx, edx)."""
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
    """{name: address} of /proc/kallsyms; the first address of a name, as the kernel takes it."""
    with open("/proc/kallsyms", encoding="ascii") as kallsyms:
        lines = [line.split() for line in kallsyms]
    return {line[2]: int(line[0], 16) for line in reversed(lines)}


def _takes(place):
    """Whether the kernel accepts a kprobe there, through tracefs."""
    # Not open(): "w" would remove all events, and "a" seeks.
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
    """The offset of an instruction in the function, after the ftrace call, and an offset within
    that or a later instruction."""
    if not X86_64 and not RISCV64:
        return 8, 10
    # 5 is after an ftrace call at the entry. It is refused if there is an ENDBR before that call.
    inside = next(n for n in range(5, 64) if _takes(f"{function}+{n}"))
    within = next(n for n in range(inside + 1, 128) if not _takes(f"{function}+{n}"))
    return inside, within


def inside(function):
    """A place inside the function where an instruction begins."""
    return f"{function}+{offsets(function)[0]}"


@functools.cache
def ftrace_call(function):
    """The symbol and offset of ftrace's call at the function's entry."""
    with open(f"{TRACING}/available_filter_functions_addrs", encoding="ascii") as traced:
        call = next(int(line.split()[0], 16) for line in traced if line.split()[1] == function)
    return f"{function}+{call - symbols()[function]:#x}"


def begins_with_endbr(function):
    """Whether the function begins with an ENDBR, or the four bytes with which the kernel has
    replaced it; then the ftrace call is after them."""
    return X86_64 and ftrace_call(function).endswith("+0x4")


def entry(function):
    """The symbol and offset at which the kernel puts a kprobe on a function's entry."""
    return f"{function}+{4 if begins_with_endbr(function) else 0:#x}"
