// SPDX-License-Identifier: GPL-2.0

//! Probes at the entry and the return of a function.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Handlers run in the context of the probed function, with preemption
//! disabled: they must not sleep. They may run on several CPUs at once.

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
/// Leave [`entry`](Handler::entry) out where only the return matters:
/// [`Data`](Handler::Data) is `()` then.
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// What the entry hands to the return of the same call.
    ///
    /// The kernel drops it silently when the task dies in the call, or when the
    /// probe is unregistered before the call returns; so it cannot have a
    /// destructor. At most 4096 bytes, aligned to at most 8; more does not
    /// compile.
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

    /// Called once, when the probe is unregistered and no other method runs any
    /// more, with the final [`missed`](crate::Probe::missed). Use it to report totals.
    ///
    /// Context: that of the drop, process context; it may sleep.
    fn unregistered(&self, missed: usize) {
        let _ = missed;
    }
}

/// A registered kretprobe and its handler.
///
/// Initialising one registers the probe. Dropping it unregisters the probe and
/// waits until no handler runs: never drop one in a handler. Both sleep. Calls
/// in flight at that moment return without a call of `ret`.
///
/// It dereferences to the registered [`Probe`](crate::Probe).
///
/// C functions: `register_kretprobe()`, `unregister_kretprobe()`.
#[pin_data]
#[must_use = "a probe that is dropped is unregistered"]
pub struct Kretprobe<H: Handler> {
    #[pin]
    slot: Slot<bindings::kretprobe, H>,
}

impl<H: Handler> Kretprobe<H> {
    /// Registers `handler` at the entry and the return of `target`, with the
    /// kernel's default for the calls in flight: the larger of 10 and twice
    /// the number of possible CPUs.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// The kernel's own, unchanged:
    /// - `ENOENT`: no such symbol, or its module is going away;
    /// - `EINVAL`: the target cannot be probed (NOKPROBE, `notrace`, outside of text), or is not the
    ///   entry of a function that ftrace knows, as a symbol of assembly or a part of a function is
    ///   not: what lies on the stack there need not be the address to return to, which the kernel
    ///   takes it for. See [`Kretprobe::new_unchecked`];
    /// - `ENODEV`: ftrace has been switched off, see [`Kprobe::new`];
    /// - `EOPNOTSUPP`: a kernel without `CONFIG_KRETPROBES`, or without `CONFIG_DYNAMIC_FTRACE`, so
    ///   that nobody can tell what is a function;
    /// - `ENOMEM`;
    /// - `EDEADLK`: one must not wait here, see [`Kprobe::new`].
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

    /// As [`Kretprobe::new`], following up to `max_active` calls in flight.
    ///
    /// A call that comes when all are in use is not followed but counted, see
    /// [`missed`](crate::Probe::missed). 0 asks for the kernel's default.
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
    /// know, such as one in assembly or one that is built without ftrace.
    ///
    /// # Errors
    ///
    /// Those of [`Kretprobe::new`], except what ftrace would refuse.
    ///
    /// # Safety
    ///
    /// `target` must be the entry of a function that is only ever called, never
    /// jumped to or fallen into from elsewhere, and that returns by the address
    /// that the call left where the architecture has it: on top of the stack, or
    /// in the link register. The kernel puts another one in its place, and keeps
    /// this one with the task, so the function must also return in the task and
    /// on the stack on which it was called.
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
            // SAFETY: The callbacks are those for that type of slot.
            slot <- unsafe { Slot::new(plan, handler) },
        })
    }

    /// The handler, and whatever state it keeps.
    pub fn handler(&self) -> &H {
        self.slot.handler()
    }

    /// How many calls in flight the probe can follow.
    pub fn max_active(&self) -> usize {
        // SAFETY: The kretprobe is registered, and the kernel writes `maxactive` only before it is.
        unsafe { (*self.slot.as_raw()).maxactive as usize }
    }
}

/// Kretprobes at several functions, with one handler; [`Context::index`] tells
/// which of them was hit.
///
/// Dropping the set unregisters them in one grace period, and waits until no
/// handler runs: never drop one in a handler.
///
/// It dereferences to its [`Members`].
///
/// C functions: `register_kretprobe()`, `unregister_kretprobes()`.
#[pin_data]
#[must_use = "a set that is dropped is unregistered"]
pub struct KretprobeSet<H: Handler> {
    #[pin]
    members: Members<bindings::kretprobe, H>,
}

impl<H: Handler> KretprobeSet<H> {
    /// Registers `handler` at each of `targets`, or at none. Each follows up to
    /// `max_active` calls in flight; 0 is the kernel's default.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// That of [`Kretprobe::with_max_active`] for the first target that is
    /// refused, with its index. Without a target, `EINVAL`; and `ENOMEM`.
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
    /// As for [`KretprobeSet::new`], where all of them are refused.
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
            // SAFETY: The callbacks are those for that type of members.
            members <- unsafe { Members::new(targets, wanted, plan, handler) },
        }? Refusal)
    }
}

derefs_to_probe!(Kretprobe);
derefs_to_members!(KretprobeSet: kretprobe);

// SAFETY: Plans for such handlers are those of `Calls`, for kretprobes.
unsafe impl<H: Handler> HandlerOf<bindings::kretprobe> for H {
    const LEAVE: Leave = bindings::kprobes_leave_kretprobes;

    #[inline]
    fn unregistered(&self, missed: usize) {
        Handler::unregistered(self, missed);
    }
}
