// SPDX-License-Identifier: GPL-2.0

//! What the library has of an entry probe.

use crate::common::*;
use core::marker::PhantomPinned;

/// The word of the current task that records, for each context, whether a handler runs, and the
/// first bit for that.
pub(super) const AT: usize = bindings::KPROBES_TASK_TRACE_RECURSION;
pub(super) const BIT: u32 = bindings::KPROBES_IN_ENTRY_BIT;

/// What is called for a hit of a probe: its own callback, or [`skip`]. It goes on to the next
/// probe of the function, or leaves the guard of the task.
pub(super) type Call = unsafe extern "C" fn(
    ip: usize,
    parent: usize,
    probe: *const Record,
    fregs: *mut ftrace_regs,
    task: *mut task_struct,
);

#[derive(Clone, Copy)]
pub(super) struct Calls {
    /// If it is the last one of its function.
    pub(super) last: Call,
    /// If it may not be.
    pub(super) more: Call,
}

/// It has hits.
const ENABLED: u8 = 1;
/// Its module was unloaded.
const GONE: u8 = 2;

/// The record of a registered entry probe.
///
/// # Invariants
///
/// `now` is one of `calls` if it is enabled, else `skip`. It is `calls.last` only if there is
/// no next one, and then there never will be: probes are linked before others.
#[repr(C)]
pub struct Record {
    now: AtomicPtr<()>,
    /// The next probe of the function.
    pub(super) next: AtomicPtr<Record>,
    /// 0 for the sentinel of a table.
    ip: usize,
    calls: &'static Calls,
    missed: AtomicU64,
    /// Written under the lock.
    state: AtomicU8,
    _pin: PhantomPinned,
}

impl Record {
    /// Creates a probe that is not linked and not enabled.
    ///
    /// # Safety
    ///
    /// `calls` must be sound to be called for this probe while it is linked.
    #[inline]
    pub(super) unsafe fn new(calls: &'static Calls, ip: usize) -> Self {
        // INVARIANT: It is not enabled.
        Self {
            now: AtomicPtr::new(skip as *mut ()),
            next: AtomicPtr::new(ptr::null_mut()),
            ip,
            calls,
            missed: AtomicU64::new(0),
            state: AtomicU8::new(0),
            _pin: PhantomPinned,
        }
    }

    #[inline]
    pub(super) fn sentinel() -> Self {
        const SKIP: &Calls = &Calls {
            last: skip,
            more: skip,
        };
        // SAFETY: `skip` is sound for any probe.
        unsafe { Self::new(SKIP, 0) }
    }

    #[inline]
    pub(super) fn is_sentinel(&self) -> bool {
        self.ip == 0
    }

    #[inline(always)]
    pub(super) fn now(&self) -> Call {
        let now = self.now.load(Ordering::Acquire);
        // SAFETY: By the type invariant, it is a `Call`.
        unsafe { transmute::<*mut (), Call>(now) }
    }

    #[inline(always)]
    pub(super) fn ip(&self) -> usize {
        self.ip
    }

    /// Counts a hit that the handler is not called for.
    #[inline(always)]
    pub(super) fn miss(&self) {
        if self.is_enabled() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Begins to have hits, or refreshes what to call for one. Under the lock, and linked.
    #[inline]
    pub(super) fn arm(&self) {
        let call = match self.next.load(Ordering::Relaxed).is_null() {
            true => self.calls.last,
            false => self.calls.more,
        };
        // INVARIANT: As it says.
        self.now.store(call as *mut (), Ordering::Release);
        self.state.fetch_or(ENABLED, Ordering::Relaxed);
    }

    /// Has no hits any more; returns whether it had. Under the lock.
    #[inline]
    pub(super) fn disarm(&self) -> bool {
        // INVARIANT: As it says.
        self.now.store(skip as *mut (), Ordering::Release);
        self.state.fetch_and(!ENABLED, Ordering::Relaxed) & ENABLED != 0
    }

    /// Remembers that its function was unloaded. Under the lock.
    #[inline]
    pub(super) fn mark_gone(&self) {
        self.state.fetch_or(GONE, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn is_enabled(&self) -> bool {
        self.state.load(Ordering::Relaxed) & ENABLED != 0
    }

    #[inline]
    pub(super) fn is_gone(&self) -> bool {
        self.state.load(Ordering::Relaxed) & GONE != 0
    }
}

/// The [`Call`] of disabled probes: goes on to the next probe, or ends.
///
/// # Safety
///
/// That of [`hit::run`](super::hit::run), except for the handler.
#[inline]
#[link_section = ".kprobes.text"]
pub(super) unsafe extern "C" fn skip(
    ip: usize,
    parent: usize,
    probe: *const Record,
    fregs: *mut ftrace_regs,
    task: *mut task_struct,
) {
    // SAFETY: By the safety requirements, `probe` is valid, and so is what it leads to.
    match unsafe { (*probe).next.load(Ordering::Acquire).as_ref() } {
        // SAFETY: By the safety requirements, these are the arguments for that one, too.
        Some(next) => unsafe { (next.now())(ip, parent, next, fregs, task) },
        // SAFETY: By the safety requirements.
        None => unsafe { end(task) },
    }
}

/// Leaves the guard.
///
/// # Safety
///
/// `task` must be the current one; the guard must have been entered, and preemption have been
/// disabled.
#[inline(always)]
pub(super) unsafe fn end(task: *mut task_struct) {
    // SAFETY: By the safety requirements. In an interrupt, `hit_in_interrupt` leaves its own bit.
    unsafe { regs::leave_in_task::<AT, BIT>(task) };
    // SAFETY: By the safety requirements. Nothing that relies on it follows.
    unsafe { regs::preempt_enable() };
}
