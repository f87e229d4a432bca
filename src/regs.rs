// SPDX-License-Identifier: GPL-2.0

//! Code that depends on the architecture: CPU registers, system calls, per-CPU memory.

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

/// As [`enter_in_task`], after that has returned [`Entry::Interrupt`]: sets the first, second or
/// third bit after `bit`, in a softirq, an interrupt or an NMI. Returns the old value of the word,
/// for [`leave_in_interrupt`], or `None` if the bit was set.
///
/// # Safety
///
/// `task` must be the current one, with a 32-bit word at `at` of which the caller owns these bits.
#[inline(always)]
pub(crate) unsafe fn enter_in_interrupt(
    task: *mut task_struct,
    at: usize,
    bit: u32,
) -> Option<u32> {
    // `interrupt_context_level()`, which is not 0.
    let count = preempt_count();
    let level = 1
        + u32::from(count & bindings::KPROBES_HARDIRQ != 0)
        + u32::from(count & bindings::KPROBES_NMI != 0);
    let bit = 1 << (bit + level);
    // SAFETY: By the safety requirements, the word exists. Interrupts restore it.
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

/// Restores the word.
///
/// # Safety
///
/// That of [`enter_in_interrupt`], which must have returned `bits`.
#[inline(always)]
pub(crate) unsafe fn leave_in_interrupt(task: *mut task_struct, at: usize, bits: u32) {
    compiler_fence(Ordering::SeqCst);
    // SAFETY: By the safety requirements, the word exists, and `bits` is its old value.
    unsafe { task.byte_add(at).cast::<u32>().write_volatile(bits) };
}

/// The result of [`enter_in_task`].
pub(crate) enum Entry {
    /// The bit was clear, and is now set.
    Entered,
    /// The bit was already set.
    Within,
    /// The CPU serves a softirq, an interrupt or an NMI. The bit was not tested.
    Interrupt,
}

pub use arch::Register;
pub(crate) use arch::*;
#[cfg(not(CONFIG_X86_64))]
pub(crate) use generic::*;

/// Reads a field of the current task. If it is a pointer, another CPU may free its target
/// concurrently, unless the task holds a reference.
///
/// # Safety
///
/// `struct task_struct` must have a `T` at `offset`, for which all bit patterns are valid.
#[inline(always)]
pub(crate) unsafe fn current_field<T: Copy>(offset: usize) -> T {
    // SAFETY: By the safety requirements, `current` has a `T` at `offset`. Volatile, as others may
    // write it.
    unsafe { current().byte_add(offset).cast::<T>().read_volatile() }
}
