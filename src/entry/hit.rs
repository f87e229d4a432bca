// SPDX-License-Identifier: GPL-2.0

//! The callback of ftrace, which calls the handlers.
//!
//! The callback disables preemption first, so that the table and the probes stay valid. Then it
//! enters a recursion guard, like `ftrace_test_recursion_trylock()`: a bit for each context in the
//! current task.
//!
//! Code outside of the guard must not be traced or probed, or each hit would cause the next one. So
//! it calls no function that can be traced, and is in `.kprobes.text`, where the kernel refuses
//! kprobes. `tests/code_tests.py` checks both in the machine code.
//!
//! [`hit`] tail-calls the callback of the function's first probe, which tail-calls the callback of
//! the next probe, and so on. The last callback leaves the guard.

use super::context::Context;
use super::context::Hit;
use super::record::*;
use super::table::Slot;
use super::table::Table;
use super::Handler;
use crate::common::*;
use crate::regs::Entry;

/// Returns the pointer to the current table.
#[inline(always)]
pub(super) fn table() -> &'static AtomicPtr<Table> {
    // SAFETY: The field is a pointer, and all accesses to it are through this function.
    unsafe { AtomicPtr::from_ptr((&raw mut bindings::kprobes_entries.table).cast()) }
}

/// `ftrace_func_t`.
///
/// # Safety
///
/// Must be called only as the callback of the module's ops.
#[inline]
#[link_section = ".kprobes.text"]
pub(super) unsafe extern "C" fn hit(
    ip: usize,
    parent: usize,
    _ops: *mut bindings::ftrace_ops,
    fregs: *mut ftrace_regs,
) {
    regs::preempt_disable();
    let task = regs::current();
    // SAFETY: `trace_recursion` is at `GUARD_OFFSET`. The bit belongs to entry probes.
    match unsafe { regs::enter_in_task::<GUARD_OFFSET, GUARD_BIT>(task) } {
        // SAFETY: The arguments are those of ftrace. The guard is entered.
        Entry::Entered => unsafe { begin(ip, parent, fregs, task) },
        // SAFETY: Preemption is disabled.
        Entry::Within => unsafe { missed(ip) },
        // SAFETY: The arguments are those of ftrace. Preemption is disabled.
        Entry::Interrupt => unsafe { hit_in_interrupt(ip, parent, fregs, task) },
    }
}

/// The part of [`hit`] for softirq, interrupt and NMI context.
///
/// # Safety
///
/// As for [`begin`], except that the guard is not entered.
#[cold]
#[inline]
#[link_section = ".kprobes.text"]
unsafe extern "C" fn hit_in_interrupt(
    ip: usize,
    parent: usize,
    fregs: *mut ftrace_regs,
    task: *mut task_struct,
) {
    // SAFETY: `trace_recursion` is at `GUARD_OFFSET`. The bits belong to entry probes.
    let Some(bits) = (unsafe { regs::enter_in_interrupt(task, GUARD_OFFSET, GUARD_BIT) }) else {
        // SAFETY: Preemption is disabled.
        return unsafe { missed(ip) };
    };
    // SAFETY: By the safety requirements. The guard is entered. The last step clears the bit of
    // task context, which is not used here.
    unsafe { begin(ip, parent, fregs, task) };
    // SAFETY: `enter_in_interrupt` has returned `bits`. This restores the bit of task context, too.
    unsafe { regs::leave_in_interrupt(task, GUARD_OFFSET, bits) };
}

/// Calls the callback of the function's first probe.
///
/// # Safety
///
/// `ip`, `parent` and `fregs` must be the arguments of [`hit`], and `task` the current one. The
/// guard must be entered, with preemption disabled.
#[inline(always)]
unsafe fn begin(ip: usize, parent: usize, fregs: *mut ftrace_regs, task: *mut task_struct) {
    // SAFETY: A table exists while ftrace calls `hit`. It is valid while preemption is disabled.
    let slot = unsafe { Table::first_slot(table().load(Ordering::Acquire), ip) };
    // SAFETY: The table is valid, and so is `slot`.
    match unsafe { (*slot).first_probe(ip) } {
        // SAFETY: By the safety requirements. `probe` is linked, so it may be called.
        Some(probe) => unsafe { ((*probe).call())(ip, parent, probe, fregs, task) },
        // SAFETY: By the safety requirements. `slot` is the first one.
        None => unsafe { begin_nearby(ip, parent, slot, fregs, task) },
    }
}

/// [`begin`] after a collision: searches the slots after `first`.
///
/// # Safety
///
/// As for [`begin`]. `first` must be the first slot of `ip`.
#[cold]
#[inline]
#[link_section = ".kprobes.text"]
unsafe extern "C" fn begin_nearby(
    ip: usize,
    parent: usize,
    first: *const Slot,
    fregs: *mut ftrace_regs,
    task: *mut task_struct,
) {
    // SAFETY: By the safety requirements, `first` is from `first_slot`.
    match unsafe { Table::find_nearby(first, ip) } {
        // SAFETY: As in `begin`.
        Some(probe) => unsafe { ((*probe).call())(ip, parent, probe, fregs, task) },
        // SAFETY: By the safety requirements.
        None => unsafe { begin_further(ip, parent, fregs, task) },
    }
}

/// [`begin`] after several collisions: searches the whole table.
///
/// # Safety
///
/// As for [`begin`].
#[cold]
#[inline]
#[link_section = ".kprobes.text"]
unsafe extern "C" fn begin_further(
    ip: usize,
    parent: usize,
    fregs: *mut ftrace_regs,
    task: *mut task_struct,
) {
    // SAFETY: As in `begin`.
    let probe = unsafe { Table::find(table().load(Ordering::Acquire), ip) };
    // SAFETY: As in `begin`.
    unsafe { ((*probe).call())(ip, parent, probe, fregs, task) };
}

/// The [`Call`](super::record::Call) of probes of `O`. With `LAST`, there is no next probe.
///
/// # Safety
///
/// As for [`begin`]. `probe` must be a probe of `O` at `ip`, valid while preemption is disabled.
#[link_section = ".kprobes.text"]
pub(super) unsafe extern "C" fn run<O: Owner<Record, Handler: Handler>, const LAST: bool>(
    ip: usize,
    parent: usize,
    probe: *const Record,
    fregs: *mut ftrace_regs,
    task: *mut task_struct,
) {
    // SAFETY: By the safety requirements, `probe` is a probe of `O`, and is valid.
    let handler = unsafe { O::handler(probe.cast_mut()) };
    // INVARIANT: By the safety requirements, these are the arguments of this hit.
    let hit = Hit {
        fregs,
        parent,
        record: probe,
    };
    // SAFETY: `hit` is valid for the duration of this call, in which the context is dropped.
    handler.entry(&unsafe { Context::new(hit) });
    if LAST {
        // SAFETY: By the safety requirements, the guard is entered, and preemption disabled.
        unsafe { end(task) };
    } else {
        // SAFETY: By the safety requirements, which `skip` has, too.
        unsafe { skip(ip, parent, probe, fregs, task) };
    }
}

/// Counts a miss for all probes of the function.
///
/// # Safety
///
/// [`hit`] must have disabled preemption.
#[cold]
#[inline]
#[link_section = ".kprobes.text"]
unsafe extern "C" fn missed(ip: usize) {
    // SAFETY: As in `begin`.
    let mut probe = unsafe { Table::find(table().load(Ordering::Acquire), ip) };
    // SAFETY: Linked probes are valid while preemption is disabled.
    while let Some(found) = unsafe { probe.as_ref() } {
        found.miss();
        probe = found.next.load(Ordering::Acquire);
    }
    // SAFETY: By the safety requirements, preemption is disabled. No code follows.
    unsafe { regs::preempt_enable() };
}
