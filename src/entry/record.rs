// SPDX-License-Identifier: GPL-2.0

//! The record of an entry probe.

use crate::common::*;
use core::marker::PhantomPinned;

/// The recursion guard: four bits of `task_struct::trace_recursion`, see `KPROBES_IN_ENTRY_BIT`.
pub(super) const GUARD_OFFSET: usize = bindings::KPROBES_TASK_TRACE_RECURSION;
pub(super) const GUARD_BIT: u32 = bindings::KPROBES_IN_ENTRY_BIT;

/// The callback of a probe: [`hit::run`](super::hit::run) or [`skip`]. At its end, it calls the
/// callback of the next probe, or leaves the guard.
pub(super) type Call = unsafe extern "C" fn(
    ip: usize,
    parent: usize,
    probe: *const Record,
    fregs: *mut ftrace_regs,
    task: *mut task_struct,
);

#[derive(Clone, Copy)]
pub(super) struct Calls {
    /// For the last probe of a function.
    pub(super) last: Call,
    /// For the other probes.
    pub(super) more: Call,
}

const ENABLED: u8 = 1;
/// The probed code was unloaded.
const GONE: u8 = 2;

/// The record of a registered entry probe.
///
/// # Invariants
///
/// `call` is one of `calls` if the probe is enabled, otherwise `skip`. It is `calls.last` only if
/// `next` is null, and then `next` stays null, because probes are added at the front.
#[repr(C)]
pub struct Record {
    call: AtomicPtr<()>,
    /// The next probe of the function.
    pub(super) next: AtomicPtr<Record>,
    /// The address of the ftrace call; 0 in the sentinel of a table.
    ip: usize,
    calls: &'static Calls,
    missed: AtomicU64,
    /// Written with the lock held.
    state: AtomicU8,
    _pin: PhantomPinned,
}

impl Record {
    /// Creates a probe that is neither linked nor enabled.
    ///
    /// # Safety
    ///
    /// It must be sound to call `calls` for this probe while it is linked.
    #[inline]
    pub(super) unsafe fn new(calls: &'static Calls, ip: usize) -> Self {
        // INVARIANT: The probe is not enabled.
        Self {
            call: AtomicPtr::new(skip as *mut ()),
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
    pub(super) fn call(&self) -> Call {
        let call = self.call.load(Ordering::Acquire);
        // SAFETY: By the type invariant, `call` is a `Call`.
        unsafe { transmute::<*mut (), Call>(call) }
    }

    #[inline(always)]
    pub(super) fn ip(&self) -> usize {
        self.ip
    }

    /// Counts a missed hit if the probe is enabled.
    #[inline(always)]
    pub(super) fn miss(&self) {
        if self.is_enabled() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Enables the probe, which is linked, or updates `call` after a change of `next`. The caller
    /// holds the lock.
    #[inline]
    pub(super) fn arm(&self) {
        let call = match self.next.load(Ordering::Relaxed).is_null() {
            true => self.calls.last,
            false => self.calls.more,
        };
        // INVARIANT: `calls.last` is stored only if `next` is null.
        self.call.store(call as *mut (), Ordering::Release);
        self.state.fetch_or(ENABLED, Ordering::Relaxed);
    }

    /// Disables the probe, and returns whether it was enabled. The caller holds the lock.
    #[inline]
    pub(super) fn disarm(&self) -> bool {
        // INVARIANT: The probe is disabled.
        self.call.store(skip as *mut (), Ordering::Release);
        self.state.fetch_and(!ENABLED, Ordering::Relaxed) & ENABLED != 0
    }

    /// Marks the probe as gone. The caller holds the lock.
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

/// The [`Call`] of disabled probes.
///
/// # Safety
///
/// As for [`hit::run`](super::hit::run), except that the handler may be of any type.
#[inline]
#[link_section = ".kprobes.text"]
pub(super) unsafe extern "C" fn skip(
    ip: usize,
    parent: usize,
    probe: *const Record,
    fregs: *mut ftrace_regs,
    task: *mut task_struct,
) {
    // SAFETY: By the safety requirements, `probe` is valid, and so is the next one.
    match unsafe { (*probe).next.load(Ordering::Acquire).as_ref() } {
        // SAFETY: By the safety requirements, the other arguments are valid for `next`, too.
        Some(next) => unsafe { (next.call())(ip, parent, next, fregs, task) },
        // SAFETY: By the safety requirements, the guard is entered, and preemption disabled.
        None => unsafe { end(task) },
    }
}

/// Leaves the recursion guard and enables preemption.
///
/// # Safety
///
/// `task` must be the current one. It must be in the guard, with preemption disabled.
#[inline(always)]
pub(super) unsafe fn end(task: *mut task_struct) {
    // SAFETY: By the safety requirements, `task` is in the guard. In an interrupt,
    // `hit_in_interrupt` restores the bits.
    unsafe { regs::leave_in_task::<GUARD_OFFSET, GUARD_BIT>(task) };
    // SAFETY: By the safety requirements, preemption is disabled. No code after this relies on it.
    unsafe { regs::preempt_enable() };
}
