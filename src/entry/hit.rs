// SPDX-License-Identifier: GPL-2.0

//! The callback of ftrace, which calls the handlers.
//!
//! It runs with whatever the function's caller has enabled, so it disables preemption first: the
//! table and the probes stay valid until it is enabled again. The task remembers that a handler
//! runs, with a bit for each context, as `ftrace_test_recursion_trylock()` does. No function
//! outside of this module is called before that, because ftrace could trace it.
//!
//! All of it is in `.kprobes.text`, where the kernel refuses kprobes. The functions that a kprobe
//! calls can be traced. With a kprobe outside of the guard, each hit would lead to the next one.
//! `tests/code_tests.py` checks both in the machine code.
//!
//! Each step ends in a call of the next, which the compiler makes a jump: from [`hit`] to the
//! callback of the first probe, and so on to the last, which leaves.

use super::context::Context;
use super::context::Hit;
use super::record::*;
use super::table::Place;
use super::table::Table;
use super::Handler;
use crate::common::*;
use crate::regs::Entry;

/// Returns the pointer to the table that is read.
#[inline(always)]
pub(super) fn table() -> &'static AtomicPtr<Table> {
    // SAFETY: The static has a pointer there, and all accesses are by this function.
    unsafe { AtomicPtr::from_ptr((&raw mut bindings::kprobes_entries.table).cast()) }
}

/// `ftrace_func_t`.
///
/// # Safety
///
/// To be called only as the callback of the module's ops.
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
    // SAFETY: `task_struct` has `trace_recursion` there, whose bits from `BIT` on are ours.
    match unsafe { regs::enter_in_task::<AT, BIT>(task) } {
        // SAFETY: By the safety requirements, and the guard has been entered.
        Entry::Entered => unsafe { begin(ip, parent, fregs, task) },
        // SAFETY: Preemption is disabled.
        Entry::Within => unsafe { missed(ip) },
        // SAFETY: By the safety requirements; preemption is disabled.
        Entry::Interrupt => unsafe { hit_in_interrupt(ip, parent, fregs, task) },
    }
}

/// [`hit`], where an interrupt, a softirq or an NMI is served.
///
/// # Safety
///
/// That of [`begin`], except for the guard.
#[cold]
#[inline]
#[link_section = ".kprobes.text"]
unsafe extern "C" fn hit_in_interrupt(
    ip: usize,
    parent: usize,
    fregs: *mut ftrace_regs,
    task: *mut task_struct,
) {
    // SAFETY: `task_struct` has `trace_recursion` there, whose bits from `BIT` on are ours.
    let Some(bits) = (unsafe { regs::enter_in_interrupt(task, AT, BIT) }) else {
        // SAFETY: Preemption is disabled.
        return unsafe { missed(ip) };
    };
    // SAFETY: By the safety requirements, and the guard has been entered. The last step clears the
    // bit for tasks, which this context does not look at.
    unsafe { begin(ip, parent, fregs, task) };
    // SAFETY: As above. That bit is set again, too, if it was.
    unsafe { regs::leave_in_interrupt(task, AT, bits) };
}

/// Calls the first probe.
///
/// # Safety
///
/// `ip`, `parent` and `fregs` must be what ftrace has passed, and `task` be the current one; the
/// guard must have been entered, and preemption be disabled.
#[inline(always)]
unsafe fn begin(ip: usize, parent: usize, fregs: *mut ftrace_regs, task: *mut task_struct) {
    // SAFETY: While ftrace calls us there is a table, and it is valid while preemption is disabled.
    let place = unsafe { Table::first_place(table().load(Ordering::Acquire), ip) };
    // SAFETY: As above.
    match unsafe { (*place).of(ip) } {
        // SAFETY: By the safety requirements. The table leads to probes that may be called.
        Some(probe) => unsafe { ((*probe).now())(ip, parent, probe, fregs, task) },
        // SAFETY: By the safety requirements.
        None => unsafe { begin_nearby(ip, parent, place, fregs, task) },
    }
}

/// [`begin`], where another function has the first place in the table.
///
/// # Safety
///
/// That of [`begin`]; `first` must be that place.
#[cold]
#[inline]
#[link_section = ".kprobes.text"]
unsafe extern "C" fn begin_nearby(
    ip: usize,
    parent: usize,
    first: *const Place,
    fregs: *mut ftrace_regs,
    task: *mut task_struct,
) {
    // SAFETY: By the safety requirements.
    match unsafe { Table::find_nearby(first, ip) } {
        // SAFETY: As in `begin`.
        Some(probe) => unsafe { ((*probe).now())(ip, parent, probe, fregs, task) },
        // SAFETY: By the safety requirements.
        None => unsafe { begin_further(ip, parent, fregs, task) },
    }
}

/// [`begin_nearby`], where others have the next places, too.
///
/// # Safety
///
/// That of [`begin`].
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
    unsafe { ((*probe).now())(ip, parent, probe, fregs, task) };
}

/// The [`Call`](super::record::Call) of probes of `O`. If it is the `LAST` one of its function, it
/// need not ask for the next.
///
/// # Safety
///
/// That of [`begin`]; `probe` must be one of `O` and of the function `ip`, and be valid while
/// preemption is disabled.
#[link_section = ".kprobes.text"]
pub(super) unsafe extern "C" fn run<O: Owner<Record, Handler: Handler>, const LAST: bool>(
    ip: usize,
    parent: usize,
    probe: *const Record,
    fregs: *mut ftrace_regs,
    task: *mut task_struct,
) {
    // SAFETY: By the safety requirements, `probe` is one of `O`, and unregistering it waits for
    // this call.
    let handler = unsafe { O::handler(probe.cast_mut()) };
    // INVARIANT: By the safety requirements, these are those of this hit.
    let hit = Hit {
        fregs,
        parent,
        record: probe,
    };
    // SAFETY: As above.
    handler.entry(&unsafe { Context::new(hit) });
    if LAST {
        // SAFETY: By the safety requirements.
        unsafe { end(task) };
    } else {
        // SAFETY: By the safety requirements.
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
    // SAFETY: What is linked is valid while preemption is disabled.
    while let Some(found) = unsafe { probe.as_ref() } {
        found.miss();
        probe = found.next.load(Ordering::Acquire);
    }
    // SAFETY: By the safety requirements; nothing follows.
    unsafe { regs::preempt_enable() };
}
