// SPDX-License-Identifier: GPL-2.0

//! A probe before, or before and after, one instruction.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Handlers run in the context that was probed, with preemption off: they must
//! not sleep. They may run on several CPUs at once.

use crate::{
    bindings,
    context::{
        Context,
        Post,
        Pre, //
    },
    probe::{
        after_register,
        Probe,
        Registered, //
    },
    regs,
    target::Target, //
};
use core::ptr;
use kernel::{
    container_of,
    error::{
        to_result,
        VTABLE_DEFAULT_ERROR, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

/// What runs at a [`Kprobe`].
///
/// A method that is not written leaves the C pointer `NULL`. That matters for
/// [`post`](Handler::post): a post handler rules out jump optimisation, and on
/// a function's entry it keeps live patches off (`FTRACE_OPS_FL_IPMODIFY`).
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// Runs before the probed instruction.
    ///
    /// Context: the probed one, preemption off; it must not sleep.
    fn pre(&self, cx: &Context<'_>) {
        let _ = cx;
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Runs after the probed instruction.
    ///
    /// Context: the probed one, preemption off; it must not sleep.
    fn post(&self, cx: &Context<'_, Post>) {
        let _ = cx;
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Runs once, when the probe is unregistered and no other method runs any
    /// more, with the final [`Probe::missed`]: the place to tell totals.
    ///
    /// Context: that of the drop, process context; it may sleep.
    fn unregistered(&self, missed: usize) {
        let _ = missed;
    }
}

/// A registered kprobe and its handler.
///
/// Making one registers the probe, which sleeps. Dropping it unregisters the
/// probe and waits until no handler runs, which sleeps too: never drop one in
/// a handler.
///
/// Since Linux 7.2. C functions: `register_kprobe()`, `unregister_kprobe()`.
///
/// # Invariants
///
/// `kp` is registered, from the moment in which [`Kprobe::new`] succeeds until
/// the value is dropped; while it is registered, its `pre_handler` and
/// `post_handler` are `NULL` or those of `Callbacks<H>`.
#[pin_data(PinnedDrop)]
#[must_use = "a probe that is dropped is unregistered"]
pub struct Kprobe<H: Handler> {
    #[pin]
    kp: Opaque<bindings::kprobe>,
    #[pin]
    handler: H,
    /// Whether a handler has skipped the probed function, see [`Context::skip_function`].
    skipped: Atomic<bool>,
}

// SAFETY: The kernel registers and unregisters a kprobe in any task's context, and `H` is `Send`.
unsafe impl<H: Handler> Send for Kprobe<H> {}
// SAFETY: `&Kprobe` gives out `&H`, which is `Sync`, and reads of `kp` that tolerate the kernel's
// concurrent writes; enabling and disabling are serialised by the kernel's `kprobe_mutex`.
unsafe impl<H: Handler> Sync for Kprobe<H> {}

impl<H: Handler> Kprobe<H> {
    /// Registers `handler` at `target`.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// The kernel's own, unchanged:
    /// - `ENOENT`: no such symbol, or its module is going away;
    /// - `EILSEQ`: the target is not the first byte of an instruction;
    /// - `EINVAL`: the place cannot be probed (NOKPROBE, `notrace`, outside of text, beside the
    ///   ftrace call of a function's entry);
    /// - `EBUSY`: the kernel said yes and yet did not arm the probe, as it does where somebody
    ///   else holds the function's entry (a live patch);
    /// - `ENOMEM`.
    pub fn new<'a, E: 'a>(
        target: Target<'a>,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        const { assert!(H::HAS_PRE || H::HAS_POST, "a Handler needs pre or post") };
        try_pin_init!(Self {
            // The kernel may call the handler before it returns from the registration, so what it
            // uses comes first.
            skipped: Atomic::new(false),
            handler <- handler,
            kp <- Opaque::try_ffi_init(move |kp: *mut bindings::kprobe| {
                // SAFETY: `try_ffi_init` hands us memory that is valid for writing a
                // `struct kprobe`, for which all zeroes is a value.
                let fields = unsafe {
                    ptr::write_bytes(kp, 0, 1);
                    &mut *kp
                };
                target.fill(fields);
                if H::HAS_PRE {
                    fields.pre_handler = Some(Callbacks::<H>::pre);
                }
                if H::HAS_POST {
                    fields.post_handler = Some(Callbacks::<H>::post);
                }
                // SAFETY: `kp` is filled, it is pinned and stays registered at most until `drop`,
                // which waits for the handlers; `handler`, which the callbacks use, is initialised.
                to_result(unsafe { bindings::register_kprobe(kp) })?;
                // SAFETY: `kp` is what `register_kprobe()` just returned 0 for.
                unsafe { after_register(kp) }
            }),
        })
    }

    /// The handler, and whatever state it keeps.
    pub fn handler(&self) -> &H {
        &self.handler
    }
}

impl<H: Handler> Probe for Kprobe<H> {
    fn registered(&self) -> Registered<'_> {
        // SAFETY: By the type invariant `kp` is registered as long as `self` is not dropped.
        unsafe { Registered::kprobe(self.kp.get()) }
    }
}

#[pinned_drop]
impl<H: Handler> PinnedDrop for Kprobe<H> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant `kp` is registered, and this is the only place that
        // unregisters it. The call waits for a grace period, so no handler runs after it.
        unsafe { bindings::unregister_kprobe(self.kp.get()) };
        if self.skipped.load(Relaxed) {
            regs::wait_for_skips();
        }
        // SAFETY: The counter stays readable: `kp` is still ours, and nobody writes it any more.
        let missed = unsafe { (*self.kp.get()).nmissed };
        self.handler.unregistered(missed);
    }
}

/// The C side's entry points for the handler type `H`.
struct Callbacks<H>(core::marker::PhantomData<H>);

impl<H: Handler> Callbacks<H> {
    /// # Safety
    ///
    /// Only for the `pre_handler` of the `kp` of a `Kprobe<H>`.
    unsafe extern "C" fn pre(kp: *mut bindings::kprobe, regs: *mut bindings::pt_regs) -> c_int {
        // SAFETY: `kp` is the field of a `Kprobe<H>`, by this function's contract, and the probe
        // outlives the call, because dropping it waits for this handler.
        let probe = unsafe { Self::probe(kp) };
        // SAFETY: The kernel passes the registers of the probed code and the probe that was hit;
        // both are ours for the time of this call.
        let cx = unsafe { Context::<Pre>::new(regs, kp, 0, H::HAS_POST) };
        probe.handler.pre(&cx);
        if cx.skips() {
            probe.skipped.store(true, Relaxed);
            return 1;
        }
        0
    }

    /// # Safety
    ///
    /// Only for the `post_handler` of the `kp` of a `Kprobe<H>`.
    unsafe extern "C" fn post(
        kp: *mut bindings::kprobe,
        regs: *mut bindings::pt_regs,
        _flags: c_ulong,
    ) {
        // SAFETY: As in `pre`: `kp` lies in a `Kprobe<H>` whose drop waits for this handler.
        let handler = unsafe { &Self::probe(kp).handler };
        // SAFETY: As in `pre`, after the instruction: `regs` and `kp` are valid during the call.
        let cx = unsafe { Context::<Post>::new(regs, kp, 0, false) };
        handler.post(&cx);
    }

    /// # Safety
    ///
    /// `kp` must be the `kp` of a `Kprobe<H>` that is not freed while `'a` lasts.
    #[inline(always)]
    unsafe fn probe<'a>(kp: *mut bindings::kprobe) -> &'a Kprobe<H> {
        // SAFETY: By this function's contract both pointers lie in one `Kprobe<H>`. Its `handler`
        // was initialised before the registration, and `skipped` too; neither it nor a field of it
        // is borrowed mutably while handlers run.
        unsafe {
            let kp = Opaque::cast_from(kp.cast_const()).cast_mut();
            &*container_of!(kp, Kprobe<H>, kp)
        }
    }
}
