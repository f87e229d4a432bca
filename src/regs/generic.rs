// SPDX-License-Identifier: GPL-2.0

//! What arm64 and riscv64 share: a function returns to the address in a CPU register, and the
//! `thread_info` with which a task begins has the CPU and `preempt_count()`.

use super::{
    arch::*,
    Entry, //
};
use crate::prelude::*;

/// Returns the `ftrace_ops` that ftrace calls at a function, whose address is before the function's
/// entry. `None` in kernels without `CONFIG_DYNAMIC_FTRACE_WITH_CALL_OPS`. `read` reads kernel
/// memory.
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
    // SAFETY: By the safety requirements, `regs` is valid for writing.
    unsafe {
        register(regs, Register::RESULT).write(ret);
        let caller = register(regs, Register::RETURN_ADDRESS).read();
        register(regs, Register::INSTRUCTION_POINTER).write(caller);
    }
}

/// Waits for nothing: an override returns straight to the caller, so no task is ever in the
/// module's text.
#[inline]
pub(crate) fn wait_for_overridden() {}

/// Increments this CPU's word at `count`, by `this_cpu_inc()`: no single instruction can do that
/// here.
///
/// # Safety
///
/// `count` must be a per-CPU pointer to a word.
#[inline(always)]
pub(crate) unsafe fn this_cpu_inc(count: *mut u64) {
    // SAFETY: By the safety requirements, `count` is a per-CPU pointer to a word.
    unsafe { bindings::kprobes_percpu_inc(count.cast()) };
}

/// Adds `n` to a counter that only this CPU writes. An interrupt may write it in between, hence
/// atomic.
#[inline(always)]
pub(crate) fn local_add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

/// Reads a word of the `thread_info` with which the current task begins.
///
/// # Safety
///
/// There must be a word of 32 bits at that offset.
#[inline(always)]
pub(super) unsafe fn thread_info(offset: usize) -> u32 {
    // SAFETY: By the safety requirements.
    unsafe { current().byte_add(offset).cast::<u32>().read_volatile() }
}

/// As `raw_smp_processor_id()`.
#[inline(always)]
pub(crate) fn cpu() -> u32 {
    // SAFETY: A `thread_info` has the CPU at that offset.
    unsafe { thread_info(bindings::KPROBES_TASK_CPU) }
}

/// As `preempt_count()`.
#[inline(always)]
pub(crate) fn preempt_count() -> u32 {
    // SAFETY: A `thread_info` has the count at that offset. Interrupts leave it as they found it.
    unsafe { thread_info(bindings::KPROBES_TASK_PREEMPT_COUNT) }
}

/// Sets bit `BIT` of the word at `AT` in `task`, unless in an interrupt.
///
/// # Safety
///
/// `task` must be the current one. There must be a word that only its task writes.
#[inline(always)]
pub(crate) unsafe fn enter_in_task<const AT: usize, const BIT: u32>(
    task: *mut task_struct,
) -> Entry {
    if preempt_count() & bindings::KPROBES_SOFTIRQ != 0 {
        return Entry::Interrupt;
    }
    // SAFETY: By the safety requirements, the word is there. Interrupts leave it as they found it.
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
    // SAFETY: By the safety requirements of this function.
    unsafe {
        let word = task.byte_add(AT).cast::<u32>();
        word.write_volatile(word.read_volatile() & !(1 << BIT));
    }
}

/// As `preempt_disable_notrace()`.
#[inline(always)]
pub(crate) fn preempt_disable() {
    // SAFETY: The count is there. What interrupts this leaves it as it was.
    unsafe {
        let count = current()
            .byte_add(bindings::KPROBES_TASK_PREEMPT_COUNT)
            .cast::<u32>();
        count.write_volatile(count.read_volatile() + 1);
    }
    compiler_fence(Ordering::SeqCst);
}
