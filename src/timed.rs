// SPDX-License-Identifier: GPL-2.0

//! Kretprobe handlers that get the duration of the call.

use crate::{
    context::{
        Context,
        Return, //
    },
    kretprobe, //
};
use core::ops::Deref;
use kernel::prelude::*;

/// Callbacks of a [`Kretprobe`](crate::Kretprobe) of a [`Timed`].
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// Called at the entry of the probed function. Returns whether to follow this
    /// call; by default, every call is followed.
    ///
    /// Context: that of the function, preemption disabled.
    fn wanted(&self, cx: &Context<'_>) -> bool {
        let _ = cx;
        true
    }

    /// Called at the return of the probed function, `ns` nanoseconds after its
    /// entry.
    ///
    /// Context: that of the function, preemption disabled.
    fn ret(&self, cx: &Context<'_, Return>, ns: u64);

    /// As [`kretprobe::Handler::unregistered`].
    fn unregistered(&self, missed: usize) {
        let _ = missed;
    }
}

/// A [`kretprobe::Handler`] that measures the duration of calls for a [`Handler`].
///
/// It dereferences to that handler.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// use kprobes::{timed, Context, Kretprobe, Return, Target, Timed};
///
/// struct Slow;
///
/// #[vtable]
/// impl timed::Handler for Slow {
///     fn ret(&self, cx: &Context<'_, Return>, ns: u64) {
///         if ns > 1_000_000 {
///             pr_info!("{} waited {ns} ns\n", cx.comm());
///         }
///     }
/// }
///
/// # fn f() -> Result {
/// let probe = KBox::pin_init(
///     Kretprobe::new(Target::symbol(c"do_nanosleep"), Timed::new(Slow)),
///     GFP_KERNEL,
/// )?;
/// # drop(probe); Ok(()) }
/// ```
#[pin_data]
pub struct Timed<H: Handler> {
    #[pin]
    handler: H,
}

impl<H: Handler> Timed<H> {
    /// Measures calls for `handler`.
    #[inline]
    pub fn new<E>(handler: impl PinInit<H, E>) -> impl PinInit<Self, E> {
        try_pin_init!(Self { handler <- handler }? E)
    }
}

impl<H: Handler> Deref for Timed<H> {
    type Target = H;

    #[inline(always)]
    fn deref(&self) -> &H {
        &self.handler
    }
}

#[vtable]
impl<H: Handler> kretprobe::Handler for Timed<H> {
    type Data = u64;

    // The module of `H`, not the library, owns what is created for it.
    #[cfg(kprobes_linux_7_3)]
    type OwnerModule = H::OwnerModule;

    #[inline(always)]
    fn entry(&self, cx: &Context<'_>) -> Option<u64> {
        self.wanted(cx).then(|| cx.now_ns())
    }

    #[inline(always)]
    fn ret(&self, cx: &Context<'_, Return>, entered: u64) {
        self.handler.ret(cx, cx.now_ns().saturating_sub(entered));
    }

    fn unregistered(&self, missed: usize) {
        self.handler.unregistered(missed);
    }
}
