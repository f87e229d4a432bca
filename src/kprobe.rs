// SPDX-License-Identifier: GPL-2.0

//! Kprobes: handlers before and after an instruction.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Context: probed context, preemption disabled. Handlers must not sleep. They
//! may run on several CPUs at once, and may interrupt any code, as an NMI does,
//! including the holder of a lock. So a handler must not wait for a lock; it
//! uses `try_lock`, atomics or per-CPU counters.

use crate::{
    bindings,
    context::{
        Context,
        Post, //
    },
    held::Leave,
    members::{
        derefs_to_members,
        Members,
        Refusal,
        Wanted, //
    },
    slot::{
        derefs_to_probe,
        HandlerOf,
        Slot, //
    },
    target::Target, //
};
use kernel::{
    error::VTABLE_DEFAULT_ERROR,
    prelude::*, //
};

mod calls;
pub(crate) use calls::Calls;

/// Callbacks of a [`Kprobe`] or a [`KprobeSet`].
///
/// The callback of a method that is not implemented is `NULL` in C. Implement
/// [`post`](Handler::post) only where it is needed: it rules out jump
/// optimisation.
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// Called before the probed instruction.
    ///
    /// Context: probed context, preemption disabled.
    fn pre(&self, cx: &Context<'_>) {
        let _ = cx;
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called after the probed instruction.
    ///
    /// Context: probed context, preemption disabled.
    fn post(&self, cx: &Context<'_, Post>) {
        let _ = cx;
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called once, after the probe is unregistered and all handlers have
    /// finished, with the final [`missed`](crate::Probe::missed). Use it to
    /// report totals.
    ///
    /// Context: process context, in the drop; it may sleep.
    fn unregistered(&self, missed: usize) {
        let _ = missed;
    }
}

/// A registered kprobe and its handler.
///
/// Initialising it registers the probe. Dropping it unregisters the probe and
/// waits for running handlers, so it must not be dropped in a handler. Both
/// sleep.
///
/// It dereferences to [`Probe`](crate::Probe).
///
/// C functions: `register_kprobe()`, `unregister_kprobe()`.
#[pin_data]
#[must_use = "dropping the probe unregisters it"]
pub struct Kprobe<H: Handler> {
    #[pin]
    slot: Slot<bindings::kprobe, H>,
}

impl<H: Handler> Kprobe<H> {
    /// Registers `handler` at `target`.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// Those of the kernel:
    /// - `ENOENT`: no such symbol, or its module is being unloaded;
    /// - `EILSEQ`: the target is not at an instruction boundary; on arm64, this is `EINVAL`;
    /// - `EINVAL`: the target cannot be probed (NOKPROBE, `notrace`, not in text, next to the
    ///   ftrace call at a function's entry);
    /// - `ENODEV`: the probe needs ftrace, which the kernel has disabled after an error;
    /// - `ENOMEM`;
    /// - `EINVAL`: the probe would lie on the stack, see [the crate](crate#where-not-to-create-a-probe);
    /// - `EDEADLK`: the caller must not sleep: it is a handler, holds a spinlock, has interrupts or
    ///   preemption disabled, or is in an RCU section.
    ///
    /// Failing to arm the probe is an error, too, which `register_kprobe()` does
    /// not report.
    pub fn new<'a, E: 'a>(
        target: Target<'a>,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        type Place<H> = Slot<bindings::kprobe, H>;
        let plan = Calls::of::<Place<H>>(target);
        try_pin_init!(Self {
            // SAFETY: `plan` has the callbacks for this type of slot.
            slot <- unsafe { Slot::new(plan, handler) },
        })
    }

    /// Returns the handler.
    pub fn handler(&self) -> &H {
        self.slot.handler()
    }
}

/// Kprobes at several targets that share a handler. [`Context::index`] tells
/// which of them was hit.
///
/// Dropping the set unregisters them in one grace period and waits for running
/// handlers, so it must not be dropped in a handler.
///
/// It dereferences to [`Members`].
///
/// C functions: `register_kprobe()`, `unregister_kprobes()`.
#[pin_data]
#[must_use = "dropping the set unregisters it"]
pub struct KprobeSet<H: Handler> {
    #[pin]
    members: Members<bindings::kprobe, H>,
}

impl<H: Handler> KprobeSet<H> {
    /// Registers `handler` at all of `targets`, or at none of them.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// The error of [`Kprobe::new`] for the first target that is refused, with
    /// its index; `EINVAL` if there are no targets; `ENOMEM`.
    #[inline]
    pub fn new<'a, E: 'a>(
        targets: &'a [Target<'a>],
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Refusal> + 'a
    where
        Refusal: From<E>,
    {
        Self::register(targets, Wanted::All, handler)
    }

    /// Registers `handler` at those of `targets` that can be probed;
    /// [`Members::refused`] lists the others, and why.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// Those of [`KprobeSet::new`], if all targets are refused.
    #[inline]
    pub fn where_possible<'a, E: 'a>(
        targets: &'a [Target<'a>],
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Refusal> + 'a
    where
        Refusal: From<E>,
    {
        Self::register(targets, Wanted::Possible, handler)
    }

    #[inline]
    fn register<'a, E: 'a>(
        targets: &'a [Target<'a>],
        wanted: Wanted,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Refusal> + 'a
    where
        Refusal: From<E>,
    {
        let plan = Calls::of::<Members<bindings::kprobe, H>>;
        try_pin_init!(Self {
            // SAFETY: `plan` has the callbacks for this type of members.
            members <- unsafe { Members::new(targets, wanted, plan, handler) },
        }? Refusal)
    }
}

derefs_to_probe!(Kprobe);
derefs_to_members!(KprobeSet: kprobe);

// SAFETY: The plans for these handlers are `Calls`, which fill in kprobes.
unsafe impl<H: Handler> HandlerOf<bindings::kprobe> for H {
    const LEAVE: Leave = bindings::kprobes_leave_kprobes;

    #[inline]
    fn unregistered(&self, missed: usize) {
        Handler::unregistered(self, missed);
    }
}
