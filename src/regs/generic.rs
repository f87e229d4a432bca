// SPDX-License-Identifier: GPL-2.0

//! Code of arm64 and riscv64: a function returns to the address in a CPU register, and
//! `task_struct` begins with a `thread_info` that has the CPU and `preempt_count()`.

use super::{
    arch::*,
    Entry, //
};
use crate::prelude::*;

/// Returns the `ftrace_ops` that ftrace calls at a function, from the literal before the function's
/// entry, or `None` without `CONFIG_DYNAMIC_FTRACE_WITH_CALL_OPS`. `read` reads kernel memory.
#[inline]
pub(crate) fn ftrace_callee(ip: usize, read: impl FnOnce(usize) -> Option<usize>) -> Option<usize> {
    // As in `ftrace_rec_set_ops()`.
    let literal = ip.wrapping_sub(12) & !7;
    if cfg!(CONFIG_DYNAMIC_FTRACE_WITH_CALL_OPS) {
        read(literal)
    } else {
        None
    }
}

/// Sets the result and continues at the return address of the function, like
/// `override_function_with_return()`.
///
/// # Safety
///
/// `regs` must be the saved registers at the entry of a function that need not run. The handler
/// must return nonzero.
#[inline]
pub(crate) unsafe fn override_function(regs: *mut pt_regs, ret: usize) {
    // SAFETY: By the safety requirements, `regs` is valid for writes.
    unsafe {
        register(regs, Register::RESULT).write(ret);
        let caller = register(regs, Register::RETURN_ADDRESS).read();
        register(regs, Register::INSTRUCTION_POINTER).write(caller);
    }
}

/// Does nothing: an override returns directly to the caller, not through the module's text.
#[inline]
pub(crate) fn wait_for_overridden() {}

/// Increments this CPU's word at `count`, by `this_cpu_inc()` in C.
///
/// # Safety
///
/// `count` must be a per-CPU pointer to a word.
#[inline(always)]
pub(crate) unsafe fn this_cpu_inc(count: *mut u64) {
    // SAFETY: By the safety requirements, `count` is a per-CPU pointer to a word.
    unsafe { bindings::kprobes_percpu_inc(count.cast()) };
}

/// Adds `n` to a counter that only this CPU writes. Atomic because an interrupt may write it, too.
#[inline(always)]
pub(crate) fn local_add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

/// Reads a word of the `thread_info` with which the current task begins.
///
/// # Safety
///
/// `struct thread_info` must have a 32-bit field at `offset`.
#[inline(always)]
pub(super) unsafe fn thread_info(offset: usize) -> u32 {
    // SAFETY: By the safety requirements, the field exists. `current` is valid while it runs.
    unsafe { current().byte_add(offset).cast::<u32>().read_volatile() }
}

/// As `raw_smp_processor_id()`.
#[inline(always)]
pub(crate) fn cpu() -> u32 {
    // SAFETY: A `thread_info` has the CPU at this offset.
    unsafe { thread_info(bindings::KPROBES_TASK_CPU) }
}

/// As `preempt_count()`.
#[inline(always)]
pub(crate) fn preempt_count() -> u32 {
    // SAFETY: A `thread_info` has the count at this offset.
    unsafe { thread_info(bindings::KPROBES_TASK_PREEMPT_COUNT) }
}

/// Sets bit `BIT` of the 32-bit word at `AT` in `task`, except in a softirq, interrupt or NMI.
///
/// # Safety
///
/// `task` must be the current one. Only the task itself must write the word.
#[inline(always)]
pub(crate) unsafe fn enter_in_task<const AT: usize, const BIT: u32>(
    task: *mut task_struct,
) -> Entry {
    if preempt_count() & bindings::KPROBES_SOFTIRQ != 0 {
        return Entry::Interrupt;
    }
    // SAFETY: By the safety requirements, the word exists. Interrupts restore it.
    unsafe {
        let word = task.byte_add(AT).cast::<u32>();
        let bits = word.read_volatile();
        if bits & (1 << BIT) != 0 {
            return Entry::Within;
        }
        word.write_volatile(bits | (1 << BIT));
    }
    compiler_fence(Ordering::SeqCst);
    Entry::Entered
}

/// Clears the bit.
///
/// # Safety
///
/// [`enter_in_task`] must have set it in `task`.
#[inline(always)]
pub(crate) unsafe fn leave_in_task<const AT: usize, const BIT: u32>(task: *mut task_struct) {
    compiler_fence(Ordering::SeqCst);
    // SAFETY: By the safety requirements, which include those of `enter_in_task`.
    unsafe {
        let word = task.byte_add(AT).cast::<u32>();
        word.write_volatile(word.read_volatile() & !(1 << BIT));
    }
}

/// As `preempt_disable_notrace()`.
#[inline(always)]
pub(crate) fn preempt_disable() {
    // SAFETY: A `thread_info` has the count at this offset. Interrupts restore it.
    unsafe {
        let count = current()
            .byte_add(bindings::KPROBES_TASK_PREEMPT_COUNT)
            .cast::<u32>();
        count.write_volatile(count.read_volatile() + 1);
    }
    compiler_fence(Ordering::SeqCst);
}
