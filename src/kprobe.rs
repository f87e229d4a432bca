// SPDX-License-Identifier: GPL-2.0

//! Probes before, or before and after, an instruction.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Handlers run in the probed context, with preemption disabled: they must not
//! sleep. They may run on several CPUs at once. They may also interrupt any
//! code, as an NMI does, and with it the holder of a lock: a handler must not
//! wait for one (`try_lock` of a `SpinLock` does not), and shares what it
//! counts by atomics or per CPU.

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
/// A method that is left out leaves the C pointer `NULL`. That matters for
/// [`post`](Handler::post), which rules out jump optimisation.
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

    /// Called once, when the probe is unregistered and no other method runs any
    /// more, with the final [`missed`](crate::Probe::missed). Use it to report totals.
    ///
    /// Context: that of the drop, process context; it may sleep.
    fn unregistered(&self, missed: usize) {
        let _ = missed;
    }
}

/// A registered kprobe and its handler.
///
/// Initialising one registers the probe. Dropping it unregisters the probe and
/// waits until no handler runs: never drop one in a handler. Both sleep.
///
/// It dereferences to the registered [`Probe`](crate::Probe).
///
/// C functions: `register_kprobe()`, `unregister_kprobe()`.
#[pin_data]
#[must_use = "a probe that is dropped is unregistered"]
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
    /// The kernel's own, unchanged:
    /// - `ENOENT`: no such symbol, or its module is going away;
    /// - `EILSEQ`: the target is not the first byte of an instruction; on arm64 that is `EINVAL`;
    /// - `EINVAL`: the place cannot be probed (NOKPROBE, `notrace`, outside of text, beside the
    ///   ftrace call of a function's entry);
    /// - `ENODEV`: ftrace, which the probe needs, has been switched off by the kernel after an error;
    /// - `ENOMEM`;
    /// - `EDEADLK`: one must not wait here: in a handler, under a spinlock, with interrupts or
    ///   preemption off, or in an RCU section.
    ///
    /// A C module gets no error where arming its probe fails; here the probe is
    /// not registered then.
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
            // SAFETY: The callbacks are those for that type of slot.
            slot <- unsafe { Slot::new(plan, handler) },
        })
    }

    /// The handler, and whatever state it keeps.
    pub fn handler(&self) -> &H {
        self.slot.handler()
    }
}

/// Kprobes at several targets, with one handler; [`Context::index`] tells which
/// of them was hit.
///
/// Dropping the set unregisters them in one grace period, and waits until no
/// handler runs: never drop one in a handler.
///
/// It dereferences to its [`Members`].
///
/// C functions: `register_kprobe()`, `unregister_kprobes()`.
#[pin_data]
#[must_use = "a set that is dropped is unregistered"]
pub struct KprobeSet<H: Handler> {
    #[pin]
    members: Members<bindings::kprobe, H>,
}

impl<H: Handler> KprobeSet<H> {
    /// Registers `handler` at each of `targets`, or at none.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// That of [`Kprobe::new`] for the first target that is refused, with its
    /// index. Without a target, `EINVAL`; and `ENOMEM`.
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
    /// As for [`KprobeSet::new`], where all of them are refused.
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
            // SAFETY: The callbacks are those for that type of members.
            members <- unsafe { Members::new(targets, wanted, plan, handler) },
        }? Refusal)
    }
}

derefs_to_probe!(Kprobe);
derefs_to_members!(KprobeSet: kprobe);

// SAFETY: Plans for such handlers are those of `Calls`, for kprobes.
unsafe impl<H: Handler> HandlerOf<bindings::kprobe> for H {
    const LEAVE: Leave = bindings::kprobes_leave_kprobes;

    #[inline]
    fn unregistered(&self, missed: usize) {
        Handler::unregistered(self, missed);
    }
}
