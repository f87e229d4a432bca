// SPDX-License-Identifier: GPL-2.0

//! The CPU registers of riscv64, as its calling convention uses them.
//!
//! C header: [`arch/riscv/include/asm/ptrace.h`](srctree/arch/riscv/include/asm/ptrace.h)

use crate::prelude::*;

/// The length of the half of the ftrace call that ftrace patches (`MCOUNT_INSN_SIZE`).
pub(crate) const FTRACE_CALL: usize = 4;

/// Returns the length of a probed instruction, which may be a compressed one.
#[inline]
pub(crate) fn instruction_len(kp: &bindings::kprobe) -> usize {
    if kp.opcode & 3 == 3 {
        size_of::<u32>()
    } else {
        size_of::<u16>()
    }
}

/// The instruction in place of this half while it is disabled (`RISCV_INSN_NOP4`).
pub(crate) const FTRACE_NOP: [u8; FTRACE_CALL] = 0x13_u32.to_le_bytes();

/// A CPU register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// `x1` to `x31`; 0 is `x1`, and a larger number is `x31`. `x1` has the return address, `x2`
    /// the stack pointer, and `x10` to `x17` the arguments. `x10` has the result, too.
    X(u8),
    /// The program counter.
    Pc,
    /// The `status` register.
    Status,
}

/// Returns a pointer to a saved CPU register.
///
/// # Safety
///
/// `regs` must be valid.
#[inline(always)]
pub(crate) unsafe fn register(regs: *mut pt_regs, register: Register) -> *mut usize {
    let n = match register {
        Register::Pc => 0,
        Register::X(n) => n.clamp(1, 31),
        Register::Status => 32,
    };
    // SAFETY: `regs` is valid. It begins with `epc`, the registers by number, and `status`.
    unsafe { regs.cast::<usize>().add(n.into()) }
}

impl Register {
    pub(crate) const RESULT: Self = Self::X(10);
    pub(crate) const INSTRUCTION_POINTER: Self = Self::Pc;
    pub(crate) const STACK_POINTER: Self = Self::X(2);
    pub(crate) const FLAGS: Self = Self::Status;
    pub(super) const RETURN_ADDRESS: Self = Self::X(1);

    /// Returns the register of the `n`th argument of a kernel function, from 0 to 7.
    #[inline(always)]
    pub(crate) const fn argument(n: usize) -> Self {
        Self::X(10 + n as u8)
    }
}

/// Returns the `n`th argument of a 64-bit system call, from the user's registers. The first is in
/// `orig_a0`, because the result overwrites `a0`.
#[inline(always)]
pub(crate) fn syscall_argument(regs: &pt_regs, n: usize) -> usize {
    match n {
        0 => regs.orig_a0 as usize,
        _ => super::get(regs, Register::argument(n)),
    }
}

/// The same of a 32-bit system call, in the lower half.
pub(crate) use syscall_argument as compat_syscall_argument;

/// Returns the current task without a function call, which ftrace could trace.
#[inline(always)]
pub(crate) fn current() -> *mut task_struct {
    let task;
    // SAFETY: The kernel keeps the pointer to the current task in `tp`.
    unsafe {
        core::arch::asm!(
            "mv {}, tp",
            out(reg) task,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    task
}

/// As `preempt_enable_notrace()`.
///
/// # Safety
///
/// It must undo a call of [`preempt_disable`](super::preempt_disable).
#[inline(always)]
pub(crate) unsafe fn preempt_enable() {
    compiler_fence(Ordering::SeqCst);
    // SAFETY: By the safety requirements, the count is not 0. A `thread_info` begins with flags.
    unsafe {
        let count = current()
            .byte_add(bindings::KPROBES_TASK_PREEMPT_COUNT)
            .cast::<u32>();
        let less = count.read_volatile() - 1;
        count.write_volatile(less);
        if cfg!(CONFIG_PREEMPTION)
            && less == 0
            && super::thread_info(bindings::KPROBES_TASK_COMPAT) & bindings::KPROBES_NEED_RESCHED
                != 0
        {
            bindings::kprobes_preempt_schedule();
        }
    }
}

/// Returns a pointer to a register that ftrace has saved: an argument, which ftrace restores, or
/// the stack pointer.
///
/// # Safety
///
/// ftrace must have passed `fregs` to a callback that is running.
#[inline(always)]
pub(crate) unsafe fn entry_register(fregs: *mut ftrace_regs, name: Register) -> *mut usize {
    let offset = match name {
        Register::X(n) if n >= 10 => {
            bindings::KPROBES_FREGS_ARGS + size_of::<usize>() * usize::from(n - 10).min(7)
        }
        _ => bindings::KPROBES_FREGS_SP,
    };
    // SAFETY: By the safety requirements, `fregs` is valid, and these are offsets of its fields.
    unsafe { fregs.byte_add(offset).cast() }
}

/// The entry points of a system call; that of 64-bit programs is the first.
#[doc(hidden)]
#[macro_export]
macro_rules! __syscall_entries {
    ($name:literal) => {
        $crate::syscall!(@each $name "__riscv_sys_" "__riscv_compat_sys_")
    };
}
