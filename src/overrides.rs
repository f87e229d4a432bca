// SPDX-License-Identifier: GPL-2.0

//! Overrides: a handler at a function's entry returns in its place.
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
    /// Called at the entry of the probed function. `None` lets the function run;
    /// `Some(result)` returns `result` to its caller instead.
    ///
    /// Context: probed context, preemption disabled.
    fn entry(&self, cx: &Context<'_>) -> Option<usize>;

    /// Called once, after the probe is unregistered and all handlers have
    /// finished, with the final [`missed`](crate::Probe::missed). Use it to
    /// report totals.
    ///
    /// Context: process context, in the drop; it may sleep.
    fn unregistered(&self, missed: usize) {
        let _ = missed;
    }
}

/// A registered kprobe at the entry of a function whose handler may return from
/// the function, like `bpf_override_return()` and fault injection. The function
/// need not be marked with `ALLOW_ERROR_INJECTION()`.
///
/// A call that it returns from does not reach the handlers of probes at the same
/// address that were registered earlier. For them it is neither a hit nor
/// [missed](crate::Probe::missed). If something else, like a live patch,
/// redirects the function at its entry, either may win.
///
/// The kernel never optimises the probe into a jump, where a handler could not
/// redirect execution.
///
/// Dropping it unregisters the probe, waits for running handlers and for tasks
/// that are returning from the function. It must not be dropped in a handler.
///
/// C functions: `register_kprobe()`, `override_function_with_return()`,
/// `unregister_kprobe()`, `synchronize_rcu_tasks()`.
#[pin_data]
#[must_use = "dropping the probe unregisters it"]
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
    /// Those of [`Kprobe::new`](crate::Kprobe::new), and `EINVAL` if the target
    /// is not the entry of a function.
    ///
    /// # Safety
    ///
    /// Whatever `handler` returns, the callers of the function must work as if
    /// the function had run and returned that. This includes locks, references
    /// and memory that the function acquires or releases, what it writes, and
    /// what callers conclude from the result.
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
            // Rules out optimisation.
            post: Some(Self::post),
            both: Some(Self::entry),
        });
        let handler = try_pin_init!(Overriding { handler <- handler }? E);
        try_pin_init!(Self {
            // SAFETY: `plan` has the callbacks for this type of slot.
            slot <- unsafe { Slot::new(plan, handler) },
        })
    }

    /// Returns the handler.
    pub fn handler(&self) -> &H {
        &self.slot.handler().handler
    }

    /// # Safety
    ///
    /// To be called only as the `pre_handler` of the slot of an `Override<H>`.
    unsafe extern "C" fn entry(kp: *mut bindings::kprobe, regs: *mut bindings::pt_regs) -> c_int {
        // SAFETY: By the safety requirements, `kp` is a probe of that slot, and unregistering it
        // waits for this call.
        let hit = unsafe { Slot::<_, Overriding<H>>::hit(kp) };
        // SAFETY: The kernel passes the saved registers and the probe that was hit, both of which
        // are valid for the duration of this call.
        let cx = unsafe { Context::new(regs, kp, hit.index) };
        let Some(result) = hit.handler.handler.entry(&cx) else {
            return 0;
        };
        // SAFETY: The registers are those at a function's entry, as checked by `settle`. By the
        // safety requirements of `new`, the function need not run. Returning 1 tells the kernel
        // that execution was redirected, and the probe is unregistered by `LEAVE_OVERRIDE`.
        unsafe { regs::override_function(regs, result) };
        1
    }

    /// # Safety
    ///
    /// No requirements; it is unsafe only to match `kprobe_post_handler_t`.
    unsafe extern "C" fn post(
        _kp: *mut bindings::kprobe,
        _regs: *mut bindings::pt_regs,
        _flags: c_ulong,
    ) {
    }
}

derefs_to_probe!(Override);

/// The handler of an override, which is unregistered by [`regs::LEAVE_OVERRIDE`].
#[pin_data]
struct Overriding<H> {
    #[pin]
    handler: H,
}

// SAFETY: The plans for it are `AtEntry`, which fill in kprobes.
unsafe impl<H: Handler> HandlerOf<bindings::kprobe> for Overriding<H> {
    const LEAVE: Leave = regs::LEAVE_OVERRIDE;

    #[inline]
    fn unregistered(&self, missed: usize) {
        self.handler.unregistered(missed);
    }
}

/// A kprobe that is refused unless it is at a function's entry.
#[derive(Clone, Copy)]
struct AtEntry<'a>(Calls<'a>);

// SAFETY: The callbacks are those of the `Override` that creates it.
unsafe impl Plan<bindings::kprobe> for AtEntry<'_> {
    #[inline]
    fn fill(&self, kp: &mut bindings::kprobe, round: Round) {
        self.0.fill(kp, round);
    }

    #[inline]
    unsafe fn settle(&self, kp: *mut bindings::kprobe) -> Result<Round> {
        // SAFETY: By the safety requirements, `kp` is registered. The kernel may set
        // `KPROBE_FLAG_GONE` concurrently, hence volatile.
        let flags = unsafe { ptr::read_volatile(&raw const (*kp).flags) };
        if flags & bindings::KPROBE_FLAG_ON_FUNC_ENTRY == 0 {
            return Err(EINVAL);
        }
        // SAFETY: By the safety requirements, `kp` is registered and disabled.
        unsafe { self.0.settle(kp) }
    }

    #[inline(always)]
    fn disabled(&self) -> bool {
        self.0.disabled()
    }
}
