// SPDX-License-Identifier: GPL-2.0

//! Functions that return at once, with a result that a handler chose.
//!
//! C header: [`include/linux/error-injection.h`](srctree/include/linux/error-injection.h)

use crate::{
    bindings,
    context::Context,
    held::Leave,
    kprobe::Calls,

    registration::{
        Plan,
        Round, //
    },
    regs,
    slot::{
        derefs_to_probe,
        HandlerOf,
        Owner,
        Slot, //
    },
    target::Target, //
};
use core::ptr;
use kernel::prelude::*;

/// Callbacks of an [`Override`].
pub trait Handler: Send + Sync + 'static {
    /// Called at the entry of the probed function. `Some(result)` returns that
    /// to its caller, and the function does not run at all; `None` lets it run.
    ///
    /// Context: probed context, preemption disabled.
    fn entry(&self, cx: &Context<'_>) -> Option<usize>;

    /// Called once, when the probe is unregistered and no other method runs any
    /// more, with the final [`Probe::missed`].
    ///
    /// Context: that of the drop, process context; it may sleep.
    fn unregistered(&self, missed: usize) {
        let _ = missed;
    }
}

/// A registered kprobe at the entry of a function, whose handler may return from
/// it, as `bpf_override_return()` and fault injection do, at functions that need
/// not be marked for that.
///
/// A call that it returns from does not reach the handlers of other probes at
/// this place, as far as they were registered before this one: for them it is
/// neither a hit nor [missed](Probe::missed). Where somebody else changes the
/// function's flow at its entry, as a live patch does, either may win.
///
/// The kernel never turns the probe into a jump, from where a handler cannot
/// change the flow.
///
/// Dropping it unregisters the probe, and waits until no handler runs and no task
/// is on its way back from the function: never drop one in a handler.
///
/// C functions: `register_kprobe()`, `override_function_with_return()`,
/// `unregister_kprobe()`, `synchronize_rcu_tasks()`.
#[pin_data]
#[must_use = "a probe that is dropped is unregistered"]
pub struct Override<H: Handler> {
    #[pin]
    slot: Slot<bindings::kprobe, Overriding<H>>,
}

impl<H: Handler> Override<H> {
    /// Registers `handler` at the entry of the function `target`.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// Those of [`Kprobe::new`](crate::Kprobe::new), and `EINVAL` where the
    /// target is not the entry of a function.
    ///
    /// # Safety
    ///
    /// For whatever `handler` returns, the callers of the function must be as
    /// well off as if it had run and returned that: locks, reference counts and
    /// memory that it takes or gives, what it writes, and what they conclude
    /// from the result.
    pub unsafe fn new<'a, E: 'a>(
        target: Target<'a>,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        let plan = AtEntry(Calls {
            target,
            pre: Some(Self::entry),
            // A probe with a post handler is not optimised.
            post: Some(Self::post),
            both: Some(Self::entry),
        });
        let handler = try_pin_init!(Overriding { handler <- handler }? E);
        try_pin_init!(Self {
            // SAFETY: The callbacks are those for that type of slot.
            slot <- unsafe { Slot::new(plan, handler) },
        })
    }

    /// The handler, and whatever state it keeps.
    pub fn handler(&self) -> &H {
        &self.slot.handler().handler
    }

    /// # Safety
    ///
    /// Only for the `pre_handler` of the slot of an `Override<H>`.
    unsafe extern "C" fn entry(kp: *mut bindings::kprobe, regs: *mut bindings::pt_regs) -> c_int {
        // SAFETY: By the safety requirements; unregistering the probe waits for this call.
        let hit = unsafe { Slot::<_, Overriding<H>>::hit(kp) };
        // SAFETY: The kernel passes the registers of the probed code and the probe that was hit,
        // which are ours for the time of this call.
        let cx = unsafe { Context::new(regs, kp, hit.index) };
        let Some(result) = hit.handler.handler.entry(&cx) else {
            return 0;
        };
        // SAFETY: The registers are those of a function's entry, which `settle` has seen to. That the
        // function need not run is what the caller of `new` vouches for. 1 tells the kernel that the
        // flow has changed, and `LEAVE_OVERRIDE` waits for those on their way.
        unsafe { regs::override_function(regs, result) };
        1
    }

    /// # Safety
    ///
    /// None: it does nothing.
    unsafe extern "C" fn post(
        _kp: *mut bindings::kprobe,
        _regs: *mut bindings::pt_regs,
        _flags: c_ulong,
    ) {
    }
}

derefs_to_probe!(Override);

/// The handler of an override, which is unregistered in its own way.
#[pin_data]
struct Overriding<H> {
    #[pin]
    handler: H,
}

// SAFETY: Plans for it are those of `AtEntry`, for kprobes; it waits for those on their way back.
unsafe impl<H: Handler> HandlerOf<bindings::kprobe> for Overriding<H> {
    const LEAVE: Leave = regs::LEAVE_OVERRIDE;

    #[inline]
    fn unregistered(&self, missed: usize) {
        self.handler.unregistered(missed);
    }
}

/// A kprobe that is refused where it is not at a function's entry.
#[derive(Clone, Copy)]
struct AtEntry<'a>(Calls<'a>);

// SAFETY: The callbacks are those of the `Override` that makes it.
unsafe impl Plan<bindings::kprobe> for AtEntry<'_> {
    #[inline]
    fn fill(&self, kp: &mut bindings::kprobe, round: Round) {
        self.0.fill(kp, round);
    }

    #[inline]
    unsafe fn settle(&self, kp: *mut bindings::kprobe) -> Result<Round> {
        // SAFETY: By the safety requirements, `kp` is registered. Others may write other flags, hence
        // volatile.
        let flags = unsafe { ptr::read_volatile(&raw const (*kp).flags) };
        if flags & bindings::KPROBE_FLAG_ON_FUNC_ENTRY == 0 {
            return Err(EINVAL);
        }
        // SAFETY: By the safety requirements of this function.
        unsafe { self.0.settle(kp) }
    }
}
