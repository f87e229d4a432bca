// SPDX-License-Identifier: GPL-2.0

//! Return handlers that are told how long the call took.

use crate::{
    context::{
        Context,
        Return, //
    },
    kretprobe::ReturnHandler, //
};
use kernel::prelude::*;

/// What runs at a return that is timed; wrap it in [`Timed`].
#[vtable]
pub trait TimedHandler: Send + Sync + 'static {
    /// Runs at the entry of the probed function: whether to follow this call.
    /// Every call is followed where it is left out.
    ///
    /// Context: that of the function, preemption off; it must not sleep.
    fn wanted(&self, cx: &Context<'_>) -> bool {
        let _ = cx;
        true
    }

    /// Runs when the probed function has returned to its caller, `ns`
    /// nanoseconds after its entry.
    ///
    /// Context: that of the function, preemption off; it must not sleep.
    fn ret(&self, cx: &Context<'_, Return>, ns: u64);

    /// As [`ReturnHandler::unregistered`].
    fn unregistered(&self, missed: usize) {
        let _ = missed;
    }
}

/// A [`ReturnHandler`] that keeps the time of the entry, so that its user need
/// not.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// use kprobes::{Context, Kretprobe, Return, Target, Timed, TimedHandler};
///
/// struct Slow;
///
/// #[vtable]
/// impl TimedHandler for Slow {
///     fn ret(&self, cx: &Context<'_, Return>, ns: u64) {
///         if ns > 1_000_000 {
///             pr_info!("{} waited {ns} ns\n", cx.comm());
///         }
///     }
/// }
///
/// # fn f() -> Result {
/// let probe = KBox::pin_init(
///     Kretprobe::new(Target::symbol(c"do_nanosleep"), Timed(Slow)),
///     GFP_KERNEL,
/// )?;
/// # drop(probe); Ok(()) }
/// ```
pub struct Timed<H: TimedHandler>(pub H);

#[vtable]
impl<H: TimedHandler> ReturnHandler for Timed<H> {
    type Data = u64;

    #[inline(always)]
    fn entry(&self, cx: &Context<'_>) -> Option<u64> {
        self.0.wanted(cx).then(|| cx.now_ns())
    }

    #[inline(always)]
    fn ret(&self, cx: &Context<'_, Return>, entered: u64) {
        self.0.ret(cx, cx.now_ns().saturating_sub(entered));
    }

    fn unregistered(&self, missed: usize) {
        self.0.unregistered(missed);
    }
}
