// SPDX-License-Identifier: GPL-2.0

//! Kretprobes: handlers at the entry and the return of a function.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Context: that of the probed function, preemption disabled. Handlers must not
//! sleep, and must not wait for locks, see [`crate::kprobe`]. They may run on
//! several CPUs at once.

use crate::{
    bindings,
    context::{
        Context,
        Return, //
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
use calls::{
    Calls,
    Functions, //
};

/// Callbacks of a [`Kretprobe`] or a [`KretprobeSet`].
///
/// If only the return matters, do not implement [`entry`](Handler::entry), and
/// set [`Data`](Handler::Data) to `()`.
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// Data that `entry` passes to `ret` of the same call.
    ///
    /// The kernel discards it when the task dies in the call, or when the probe
    /// is unregistered before the call returns, so it cannot have a destructor.
    /// It is at most 4096 bytes long and aligned to at most 8; anything larger
    /// does not compile.
    type Data: Copy + Send + 'static;

    /// Called at the entry of the probed function. `None` ignores the return of
    /// this call.
    ///
    /// Context: that of the function, preemption disabled.
    fn entry(&self, cx: &Context<'_>) -> Option<Self::Data> {
        let _ = cx;
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called when the probed function has returned to its caller, with what
    /// the entry of this call gave.
    ///
    /// Context: that of the function, preemption disabled.
    fn ret(&self, cx: &Context<'_, Return>, data: Self::Data);

    /// Called once, after the probe is unregistered and all handlers have
    /// finished, with the final [`missed`](crate::Probe::missed). Use it to
    /// report totals.
    ///
    /// Context: process context, in the drop; it may sleep.
    fn unregistered(&self, missed: usize) {
        let _ = missed;
    }
}

/// A registered kretprobe and its handler.
///
/// Initialising it registers the probe. Dropping it unregisters the probe and
/// waits for running handlers, so it must not be dropped in a handler. Both
/// sleep. `ret` is not called for calls that are in flight at that moment.
///
/// It dereferences to [`Probe`](crate::Probe).
///
/// C functions: `register_kretprobe()`, `unregister_kretprobe()`.
#[pin_data]
#[must_use = "dropping the probe unregisters it"]
pub struct Kretprobe<H: Handler> {
    #[pin]
    slot: Slot<bindings::kretprobe, H>,
}

impl<H: Handler> Kretprobe<H> {
    /// Registers `handler` at the entry and the return of `target`, with the
    /// kernel's default for the number of calls in flight: the larger of 10 and
    /// twice the number of possible CPUs.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// - `ENOENT`: no such symbol, or its module is being unloaded;
    /// - `EINVAL`: the target cannot be probed (NOKPROBE, `notrace`, not in text), or is not the
    ///   entry of a function that ftrace knows. At a symbol of assembly or at a part of a function,
    ///   the word that the kernel takes for the return address may be something else. See
    ///   [`Kretprobe::new_unchecked`];
    /// - `ENODEV`: ftrace is disabled, see [`Kprobe::new`];
    /// - `EOPNOTSUPP`: the kernel lacks `CONFIG_KRETPROBES`, or `CONFIG_DYNAMIC_FTRACE`, without
    ///   which it is not known what is a function;
    /// - `ENOMEM`;
    /// - `EDEADLK`: the caller must not sleep, see [`Kprobe::new`].
    ///
    /// [`Kprobe::new`]: crate::Kprobe::new
    pub fn new<'a, E: 'a>(
        target: Target<'a>,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        Self::with_max_active(target, 0, handler)
    }

    /// As [`Kretprobe::new`], following up to `max_active` calls in flight; 0 is
    /// the kernel's default.
    ///
    /// Further calls are not followed, but counted as
    /// [`missed`](crate::Probe::missed).
    pub fn with_max_active<'a, E: 'a>(
        target: Target<'a>,
        max_active: u16,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        Self::register(Functions::Known, target, max_active, handler)
    }

    /// As [`Kretprobe::with_max_active`], for a function that ftrace does not
    /// know, such as one in assembly or one built without ftrace.
    ///
    /// # Errors
    ///
    /// Those of [`Kretprobe::new`], except where it is ftrace that does not know
    /// the function.
    ///
    /// # Safety
    ///
    /// `target` must be the entry of a function that is only ever called, never
    /// jumped to or fallen into from elsewhere, and that returns through the
    /// return address where the architecture puts it: on top of the stack, or in
    /// the link register. The kernel replaces that address and keeps the original
    /// with the task, so the function must also return in the task and on the
    /// stack on which it was called.
    pub unsafe fn new_unchecked<'a, E: 'a>(
        target: Target<'a>,
        max_active: u16,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        Self::register(Functions::Any, target, max_active, handler)
    }

    #[inline(always)]
    fn register<'a, E: 'a>(
        functions: Functions,
        target: Target<'a>,
        max_active: u16,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        let plan = Calls::of::<Slot<bindings::kretprobe, H>>(functions, target, max_active);
        try_pin_init!(Self {
            // SAFETY: `plan` has the callbacks for this type of slot.
            slot <- unsafe { Slot::new(plan, handler) },
        })
    }

    /// Returns the handler.
    pub fn handler(&self) -> &H {
        self.slot.handler()
    }

    /// Returns how many calls in flight the probe can follow.
    pub fn max_active(&self) -> usize {
        // SAFETY: The kretprobe is valid, and the kernel does not write `maxactive` after
        // registration.
        unsafe { (*self.slot.as_raw()).maxactive as usize }
    }
}

/// Kretprobes at several functions that share a handler. [`Context::index`]
/// tells which of them was hit.
///
/// Dropping the set unregisters them in one grace period and waits for running
/// handlers, so it must not be dropped in a handler.
///
/// It dereferences to [`Members`].
///
/// C functions: `register_kretprobe()`, `unregister_kretprobes()`.
#[pin_data]
#[must_use = "dropping the set unregisters it"]
pub struct KretprobeSet<H: Handler> {
    #[pin]
    members: Members<bindings::kretprobe, H>,
}

impl<H: Handler> KretprobeSet<H> {
    /// Registers `handler` at all of `targets`, or at none of them. Each probe
    /// follows up to `max_active` calls in flight; 0 is the kernel's default.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// The error of [`Kretprobe::with_max_active`] for the first target that is
    /// refused, with its index; `EINVAL` if there are no targets; `ENOMEM`.
    #[inline]
    pub fn new<'a, E: 'a>(
        targets: &'a [Target<'a>],
        max_active: u16,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Refusal> + 'a
    where
        Refusal: From<E>,
    {
        Self::register(Functions::Known, targets, Wanted::All, max_active, handler)
    }

    /// Registers `handler` at those of `targets` that can be probed;
    /// [`Members::refused`] lists the others, and why.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// Those of [`KretprobeSet::new`], if all targets are refused.
    #[inline]
    pub fn where_possible<'a, E: 'a>(
        targets: &'a [Target<'a>],
        max_active: u16,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Refusal> + 'a
    where
        Refusal: From<E>,
    {
        let wanted = Wanted::Possible;
        Self::register(Functions::Known, targets, wanted, max_active, handler)
    }

    /// As [`KretprobeSet::new`], for functions that ftrace does not know.
    ///
    /// # Safety
    ///
    /// That of [`Kretprobe::new_unchecked`], for each of the targets.
    #[inline]
    pub unsafe fn new_unchecked<'a, E: 'a>(
        targets: &'a [Target<'a>],
        max_active: u16,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Refusal> + 'a
    where
        Refusal: From<E>,
    {
        Self::register(Functions::Any, targets, Wanted::All, max_active, handler)
    }

    #[inline(always)]
    fn register<'a, E: 'a>(
        functions: Functions,
        targets: &'a [Target<'a>],
        wanted: Wanted,
        max_active: u16,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Refusal> + 'a
    where
        Refusal: From<E>,
    {
        let plan = move |target| {
            Calls::of::<Members<bindings::kretprobe, H>>(functions, target, max_active)
        };
        try_pin_init!(Self {
            // SAFETY: `plan` has the callbacks for this type of members.
            members <- unsafe { Members::new(targets, wanted, plan, handler) },
        }? Refusal)
    }
}

derefs_to_probe!(Kretprobe);
derefs_to_members!(KretprobeSet: kretprobe);

// SAFETY: The plans for these handlers are `Calls`, which fill in kretprobes.
unsafe impl<H: Handler> HandlerOf<bindings::kretprobe> for H {
    const LEAVE: Leave = bindings::kprobes_leave_kretprobes;

    #[inline]
    fn unregistered(&self, missed: usize) {
        Handler::unregistered(self, missed);
    }
}
