// SPDX-License-Identifier: GPL-2.0

//! Differences between architectures: the use of CPU registers, system calls, per-CPU memory.
//!
//! Nothing outside of this module names a CPU register or an instruction.

use crate::prelude::*;

#[cfg_attr(CONFIG_X86_64, path = "regs/x86_64.rs")]
#[cfg_attr(CONFIG_ARM64, path = "regs/arm64.rs")]
#[cfg_attr(CONFIG_RISCV, path = "regs/riscv64.rs")]
mod arch;
#[cfg(not(CONFIG_X86_64))]
mod generic;

#[inline(always)]
pub(crate) fn get(regs: &pt_regs, name: Register) -> usize {
    // SAFETY: `regs` is a reference, so it is valid, and `register` returns a pointer into it.
    unsafe { register(ptr::from_ref(regs).cast_mut(), name).read() }
}

/// As [`enter_in_task`], where it has returned [`Entry::Interrupt`]: sets the bit of the context,
/// the first to third after `bit`. Returns the word as it was, for [`leave_in_interrupt`], or
/// `None` if the bit was set.
///
/// # Safety
///
/// `task` must be the current one and have such a word at `at`. Those bits must be the caller's.
#[inline(always)]
pub(crate) unsafe fn enter_in_interrupt(
    task: *mut task_struct,
    at: usize,
    bit: u32,
) -> Option<u32> {
    // As `interrupt_context_level()`, of which 0 is out of the question.
    let count = preempt_count();
    let level = 1
        + u32::from(count & bindings::KPROBES_HARDIRQ != 0)
        + u32::from(count & bindings::KPROBES_NMI != 0);
    let bit = 1 << (bit + level);
    // SAFETY: By the safety requirements, the word is there. Only its task writes it, and what
    // interrupts us leaves it as it found it.
    let bits = unsafe {
        let word = task.byte_add(at).cast::<u32>();
        let bits = word.read_volatile();
        if bits & bit == 0 {
            word.write_volatile(bits | bit);
        }
        bits
    };
    compiler_fence(Ordering::SeqCst);
    (bits & bit == 0).then_some(bits)
}

/// Makes the word what it was.
///
/// # Safety
///
/// That of [`enter_in_interrupt`], which must have returned `bits`.
#[inline(always)]
pub(crate) unsafe fn leave_in_interrupt(task: *mut task_struct, at: usize, bits: u32) {
    compiler_fence(Ordering::SeqCst);
    // SAFETY: By the safety requirements, the word is there. What was interrupted finds it as it
    // was.
    unsafe { task.byte_add(at).cast::<u32>().write_volatile(bits) };
}

/// What became of [`enter_in_task`].
pub(crate) enum Entry {
    /// The bit was clear, and is set.
    Entered,
    /// The bit was set.
    Within,
    /// The CPU serves a softirq, an interrupt or an NMI: the bit was not looked at.
    Interrupt,
}

pub use arch::Register;
pub(crate) use arch::*;
#[cfg(not(CONFIG_X86_64))]
pub(crate) use generic::*;

/// Reads a field of the current task. What a pointer there points at, another CPU may free
/// meanwhile, unless it is the task's own.
///
/// # Safety
///
/// `struct task_struct` must have a `T` at `offset`, for which all bit patterns are valid.
#[inline(always)]
pub(crate) unsafe fn current_field<T: Copy>(offset: usize) -> T {
    // SAFETY: `current` is valid while it runs, and by the safety requirements, it has a `T` at
    // that offset. It may be written concurrently, hence volatile.
    unsafe { current().byte_add(offset).cast::<T>().read_volatile() }
}
