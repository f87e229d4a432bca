// SPDX-License-Identifier: GPL-2.0

//! A reference to a registered entry probe.

use super::{
    hit,
    ops, //
};
use crate::{
    bindings,
    kernel_ext::{
        may_wait::may_wait,
        symbol::{
            Address,
            Location, //
        }, //
    },
};
use core::{
    marker::PhantomPinned,
    mem::transmute,
    ptr,
    sync::atomic::{
        AtomicPtr,
        AtomicU64,
        AtomicU8,
        Ordering, //
    }, //
};
use kernel::prelude::*;

/// What is called for a hit of a probe: its own callback, or [`hit::skip`]. It goes
/// on to the next probe of the function, or leaves the guard of the task.
pub(super) type Call = unsafe extern "C" fn(
    ip: usize,
    parent: usize,
    probe: *const Probe,
    fregs: *mut bindings::ftrace_regs,
    task: *mut bindings::task_struct,
);

/// What a probe calls.
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

/// A registered entry probe: an [`Entry`](crate::Entry), or one of an
/// [`EntrySet`](crate::EntrySet).
///
/// Context: any, unless a method says otherwise.
///
/// # Invariants
///
/// `now` is one of `calls` if it is enabled, else `hit::skip`. It is `calls.last` only
/// if there is no next one, and then there never will be: probes are linked before
/// others. `handler` is what `calls` take it for.
#[repr(C)]
pub struct Probe {
    now: AtomicPtr<()>,
    /// The next probe of the function.
    pub(super) next: AtomicPtr<Probe>,
    handler: *const c_void,
    index: usize,
    ip: usize,
    calls: Calls,
    missed: AtomicU64,
    /// Written under the lock.
    state: AtomicU8,
    _pin: PhantomPinned,
}

// SAFETY: What is written after the initialisation is atomic. The handler is used by `calls` only,
// which are for a type that is `Send` and `Sync`.
unsafe impl Send for Probe {}
// SAFETY: As above.
unsafe impl Sync for Probe {}

impl Probe {
    /// Creates a probe that is not linked and not enabled.
    ///
    /// # Safety
    ///
    /// `calls` must be sound to be called for this probe, with `handler`, while it is
    /// linked.
    #[inline]
    pub(super) unsafe fn new(
        calls: Calls,
        handler: *const c_void,
        index: usize,
        ip: usize,
    ) -> Self {
        // INVARIANT: It is not enabled.
        Self {
            now: AtomicPtr::new(hit::skip as *mut ()),
            next: AtomicPtr::new(ptr::null_mut()),
            handler,
            index,
            ip,
            calls,
            missed: AtomicU64::new(0),
            state: AtomicU8::new(0),
            _pin: PhantomPinned,
        }
    }

    /// Creates what stands for no probe.
    #[inline]
    pub(super) fn nobody() -> Self {
        // SAFETY: `skip` is sound for any probe, and uses no handler.
        unsafe {
            Self::new(
                Calls {
                    last: hit::skip,
                    more: hit::skip,
                },
                ptr::null(),
                0,
                0,
            )
        }
    }

    #[inline]
    pub(super) fn is_nobody(&self) -> bool {
        self.handler.is_null()
    }

    /// Returns what to call for a hit.
    #[inline(always)]
    pub(super) fn now(&self) -> Call {
        let now = self.now.load(Ordering::Acquire);
        // SAFETY: By the type invariant, it is a `Call`.
        unsafe { transmute::<*mut (), Call>(now) }
    }

    #[inline(always)]
    pub(super) fn handler(&self) -> *const c_void {
        self.handler
    }

    #[inline(always)]
    pub(crate) fn index(&self) -> usize {
        self.index
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

    /// Begins to have hits. Under the lock, and linked.
    #[inline]
    pub(super) fn arm(&self) {
        let is_last = self.next.load(Ordering::Relaxed).is_null();
        let Calls { last, more } = self.calls;
        // INVARIANT: As it says.
        self.now.store(
            (if is_last { last } else { more }) as *mut (),
            Ordering::Release,
        );
        self.state.fetch_or(ENABLED, Ordering::Relaxed);
    }

    /// Is told that its next one has been taken out. Under the lock.
    #[inline]
    pub(super) fn rearm(&self) {
        if self.is_enabled() {
            self.arm();
        }
    }

    /// Has no hits any more; returns whether it had. Under the lock.
    #[inline]
    pub(super) fn disarm(&self) -> bool {
        // INVARIANT: As it says.
        self.now.store(hit::skip as *mut (), Ordering::Release);
        self.state.fetch_and(!ENABLED, Ordering::Relaxed) & ENABLED != 0
    }

    /// Remembers that its function was unloaded. Under the lock.
    #[inline]
    pub(super) fn mark_gone(&self) {
        self.state.fetch_or(GONE, Ordering::Relaxed);
    }

    /// Returns the address of the ftrace call, which is at the entry of the
    /// function: a few bytes after its symbol on arm64, and on x86-64 with
    /// `CONFIG_X86_KERNEL_IBT`.
    #[inline]
    pub fn address(&self) -> Address {
        Address::new(self.ip)
    }

    /// Returns that address as symbol and offset.
    #[inline]
    pub fn location(&self) -> Location {
        self.address().location()
    }

    /// Returns how many hits the handler was not called for: those within the
    /// handler of an entry probe, of this or another module, in the same context of
    /// the same task.
    ///
    /// The handler is called for a hit in a softirq, interrupt or NMI that comes in
    /// a handler. In the first instructions of an interrupt, before the kernel notes
    /// that there is one, such a hit is missed.
    ///
    /// Hits and misses add up to the calls of the function while the probe was enabled,
    /// except for [calls that ftrace leaves out](crate::entry#calls-that-ftrace-leaves-out).
    #[inline]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Returns whether the probe is neither disabled nor gone.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.state.load(Ordering::Relaxed) & ENABLED != 0
    }

    /// Returns whether the module that contained the function has been unloaded. The
    /// probe stays registered, but has no more hits.
    #[inline]
    pub fn is_gone(&self) -> bool {
        self.state.load(Ordering::Relaxed) & GONE != 0
    }

    /// Disables the probe. It has neither hits nor misses then. A handler may still
    /// be running when this returns.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// `EDEADLK` if the caller must not sleep, as in a handler.
    #[inline]
    pub fn disable(&self) -> Result {
        may_wait()?;
        // SAFETY: There are references to linked probes only.
        unsafe { ops::disable(&[ptr::from_ref(self)]) };
        Ok(())
    }

    /// Enables the probe.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// `EDEADLK` if the caller must not sleep, as in a handler; `EINVAL` if the
    /// function is gone; `ENOMEM`, `EBUSY` and `ENODEV` as for
    /// [`Entry::new`](crate::Entry::new). It stays disabled then.
    #[inline]
    pub fn enable(&self) -> Result {
        may_wait()?;
        // SAFETY: There are references to linked probes only.
        unsafe { ops::enable(&[ptr::from_ref(self)]) }
    }
}
