// SPDX-License-Identifier: GPL-2.0

//! Return probes whose handlers get the duration of the call.
//!
//! Context: probed context, preemption disabled, see [`crate::kprobe`].
//!
//! For an example, see [`Histogram`](crate::Histogram).

use crate::common::*;
use crate::kretprobe;
use core::any::Any;

probe::kind! {
    /// The kind of a [`Timed`].
    Kind(c"timed probe", probe::NO_FUNCTION): Safe = bindings::kretprobe, kretprobe::Specific,
    for<'a> Target<'a> => kretprobe::Calls<'a>,
    |O, target, options| kretprobe::Calls::of::<Measured<O>>(target, options)
}

/// A return probe that measures the duration of each call. See [`Probe`] for its methods, and
/// [`Kretprobe`](crate::Kretprobe) for its limits.
pub type Timed<H> = probe::Probe<Kind, H>;

/// Timed return probes at several functions that share a handler. See [`Set`] for its methods.
pub type TimedSet<H> = probe::Set<Kind, H>;

pub use kretprobe::Context;
pub use kretprobe::ReturnContext;

/// Callbacks of a [`Timed`] or a [`TimedSet`].
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// As [`kretprobe::Handler::Data`], of at most 4088 bytes.
    type Data: Copy + Send + 'static;

    /// As [`kretprobe::Handler::entry`].
    fn entry(&self, _cx: &Context<'_>) -> Option<Self::Data> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called when the probed function returns, `ns` nanoseconds after its entry, with the data
    /// that `entry` of this call returned.
    ///
    /// Context: probed context, preemption disabled.
    fn ret(&self, cx: &ReturnContext<'_>, data: Self::Data, ns: u64);

    /// As [`kprobe::Handler::unregistered`](crate::kprobe::Handler::unregistered).
    fn unregistered(&self, _missed: u64) {}
}

/// The owner `O`, but with a handler that measures the time.
struct Measured<O>(PhantomData<O>);

// SAFETY: `handler` has the safety requirements of that of `O`.
unsafe impl<O: Owner<bindings::kretprobe, Handler: Handler + 'static>> Owner<bindings::kretprobe>
    for Measured<O>
{
    type Handler = Measures<O::Handler>;

    #[inline(always)]
    unsafe fn handler<'a>(raw: *mut bindings::kretprobe) -> &'a Self::Handler {
        // SAFETY: By the safety requirements, `raw` is a registered probe of `O`.
        let handler = ptr::from_ref(unsafe { O::handler(raw) });
        // SAFETY: `Measures` is transparent, and the handler is valid for `'a`.
        unsafe { &*handler.cast() }
    }
}

/// A handler that measures the time for `H`.
#[repr(transparent)]
struct Measures<H>(H);

#[vtable]
impl<H: Handler> kretprobe::Handler for Measures<H> {
    type Data = (u64, H::Data);
    #[cfg(kprobes_linux_7_3)]
    type OwnerModule = H::OwnerModule;

    #[inline(always)]
    fn entry(&self, cx: &Context<'_>) -> Option<Self::Data> {
        let data = if H::HAS_ENTRY {
            self.0.entry(cx)?
        } else {
            let nothing: &dyn Any = &();
            build_assert!(nothing.is::<H::Data>());
            *nothing.downcast_ref()?
        };
        Some((cx.now_ns(), data))
    }

    #[inline(always)]
    fn ret(&self, cx: &ReturnContext<'_>, (entered, data): Self::Data) {
        self.0.ret(cx, data, cx.now_ns().saturating_sub(entered));
    }
}
