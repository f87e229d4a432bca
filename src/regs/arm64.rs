// SPDX-License-Identifier: GPL-2.0

//! The CPU registers of arm64, as the AAPCS64 uses them.
//!
//! C header: [`arch/arm64/include/asm/ptrace.h`](srctree/arch/arm64/include/asm/ptrace.h)

use crate::prelude::*;

/// The length of the ftrace call at a function's entry (`MCOUNT_INSN_SIZE`).
pub(crate) const FTRACE_CALL: usize = 4;

/// Returns the length of a probed instruction.
#[inline]
pub(crate) fn instruction_len(_kp: &bindings::kprobe) -> usize {
    size_of::<u32>()
}

/// The instruction in place of the ftrace call while it is disabled (`aarch64_insn_gen_nop()`).
pub(crate) const FTRACE_NOP: [u8; FTRACE_CALL] = 0xd503_201f_u32.to_le_bytes();

/// A CPU register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// `x0` to `x30`; a larger number is `x30`.
    X(u8),
    /// The stack pointer.
    Sp,
    /// The program counter.
    Pc,
    /// The processor state.
    Pstate,
}

/// Returns a pointer to a saved CPU register.
///
/// # Safety
///
/// `regs` must be valid.
#[inline(always)]
pub(crate) unsafe fn register(regs: *mut pt_regs, register: Register) -> *mut usize {
    // SAFETY: By the safety requirements, `regs` is valid; this only computes addresses of fields.
    unsafe {
        let all = &raw mut (*regs).__bindgen_anon_1.__bindgen_anon_1;
        match register {
            Register::X(n) => (&raw mut (*all).regs)
                .cast::<usize>()
                .add(usize::from(n.min(30))),
            Register::Sp => (&raw mut (*all).sp).cast(),
            Register::Pc => (&raw mut (*all).pc).cast(),
            Register::Pstate => (&raw mut (*all).pstate).cast(),
        }
    }
}

impl Register {
    pub(crate) const RESULT: Self = Self::X(0);
    pub(crate) const INSTRUCTION_POINTER: Self = Self::Pc;
    pub(crate) const STACK_POINTER: Self = Self::Sp;
    pub(crate) const FLAGS: Self = Self::Pstate;
    pub(super) const RETURN_ADDRESS: Self = Self::X(30);

    /// Returns the register of the `n`th argument of a kernel function, from 0 to 7.
    #[inline(always)]
    pub(crate) const fn argument(n: usize) -> Self {
        Self::X(n as u8)
    }
}

/// Returns the `n`th argument of a 64-bit system call, from the user's registers. The first is in
/// `orig_x0`, because the result overwrites `x0`.
#[inline(always)]
pub(crate) fn syscall_argument(regs: &pt_regs, n: usize) -> usize {
    match n {
        0 => regs.orig_x0 as usize,
        _ => super::get(regs, Register::argument(n)),
    }
}

/// The same of a 32-bit system call, in the lower half.
pub(crate) use syscall_argument as compat_syscall_argument;

/// Returns the current task without a function call, which ftrace could trace.
#[inline(always)]
pub(crate) fn current() -> *mut task_struct {
    let task;
    // SAFETY: The kernel keeps the pointer to the current task in `sp_el0`.
    unsafe {
        core::arch::asm!(
            "mrs {}, sp_el0",
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
/// It must undo a call of [`preempt_disable`].
#[inline(always)]
pub(crate) unsafe fn preempt_enable() {
    compiler_fence(Ordering::SeqCst);
    // SAFETY: By the safety requirements, the count is not 0. As in
    // `__preempt_count_dec_and_test()`, the upper half of the word is 0 if a reschedule is due,
    // which an interrupt may write in between.
    unsafe {
        let both = current()
            .byte_add(bindings::KPROBES_TASK_PREEMPT_COUNT)
            .cast::<u64>();
        let less = both.read_volatile() - 1;
        both.cast::<u32>().write_volatile(less as u32);
        if cfg!(CONFIG_PREEMPTION) && (less == 0 || both.read_volatile() == 0) {
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
    let fregs: *mut bindings::__arch_ftrace_regs = fregs.cast();
    // SAFETY: By the safety requirements, `fregs` is valid. Its array has `x0` to `x8`.
    unsafe {
        match name {
            Register::X(n) => (&raw mut (*fregs).regs)
                .cast::<usize>()
                .add(n.min(8).into()),
            _ => (&raw mut (*fregs).sp).cast(),
        }
    }
}

/// The entry points of a system call; that of 64-bit programs is the first.
#[doc(hidden)]
#[macro_export]
macro_rules! __syscall_entries {
    ($name:literal) => {
        $crate::syscall!(@each $name "__arm64_sys_" "__arm64_compat_sys_")
    };
}
