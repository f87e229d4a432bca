// SPDX-License-Identifier: GPL-2.0

//! A probe before, or before and after, one instruction.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Handlers run in the context that was probed, with preemption off: they must
//! not sleep. They may run on several CPUs at once. They may also interrupt
//! anybody, as an NMI does, and then whoever holds a lock: a handler must not
//! wait for one (`try_lock` of a `SpinLock` does not), and shares what it
//! counts by atomics or per CPU.

use crate::{
    bindings,
    context::{
        Context,
        Post,
        Pre, //
    },
    probe::{
        Probe,
        Registered, //
    },
    register::{
        self,
        Calls,
        Held,
        Leave,
        Raw, //
    },
    regs,
    target::Target, //
};
use core::ptr;
use kernel::{
    container_of,
    error::VTABLE_DEFAULT_ERROR,
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
/// [`post`](Handler::post), which rules out jump optimisation.
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
    held: Held,
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
        const { assert!(H::HAS_PRE || H::HAS_POST, "a Handler needs pre or post") };
        try_pin_init!(&this in Self {
            // The kernel may call the handler before it returns from the registration, so what it
            // uses comes first.
            skipped: Atomic::new(false),
            handler <- handler,
            kp <- Opaque::try_ffi_init(move |kp: *mut bindings::kprobe| {
                // SAFETY: `try_ffi_init` hands us memory that is valid for writing a
                // `struct kprobe`, for which all zeroes is a value; it is pinned. It stays
                // registered at most until `drop`, which waits for the handlers; `handler`, which
                // the callbacks use, is initialised.
                unsafe {
                    ptr::write_bytes(kp, 0, 1);
                    target.fill(&mut *kp);
                    Callbacks::<H>::CALLS.first(&mut *kp);
                    register::register(kp)?;
                    if Callbacks::<H>::CALLS.settle(kp) {
                        register::withdraw(kp);
                        ptr::write_bytes(kp, 0, 1);
                        target.fill(&mut *kp);
                        Callbacks::<H>::CALLS.again(&mut *kp);
                        register::register(kp)?;
                    }
                    register::enable(kp).inspect_err(|_| register::withdraw(kp))
                }
            }),
            // SAFETY: `kp` is registered and pinned, and what `drop` does first is to leave.
            held <- unsafe {
                Held::enter(Callbacks::<H>::LEAVE, (&raw mut (*this.as_ptr()).kp).cast(), 0)
            },
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
        // SAFETY: This is the only place that unregisters the probe. No handler runs after it.
        unsafe { self.held.leave() };
        // Only a handler with a post method can skip.
        if H::HAS_POST && self.skipped.load(Relaxed) {
            regs::wait_for_skips();
        }
        // SAFETY: The counter stays readable: `kp` is still ours, and nobody writes it any more.
        let missed = unsafe { (*self.kp.get()).nmissed };
        self.handler.unregistered(missed);
    }
}

/// The C side's entry points for the handler type `H`.
pub(crate) struct Callbacks<H>(core::marker::PhantomData<H>);

impl<H: Handler> Callbacks<H> {
    /// Only a handler with a post method can skip.
    pub(crate) const LEAVE: Leave = if H::HAS_POST {
        regs::LEAVE_SKIPS
    } else {
        bindings::kprobe::LEAVE
    };

    const CALLS: Calls = Calls {
        pre: if H::HAS_PRE { Some(Self::pre) } else { None },
        post: if H::HAS_POST { Some(Self::post) } else { None },
        both: Self::both,
    };

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
        if H::HAS_POST && cx.skips() {
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
    /// Only for the `pre_handler` of the `kp` of a `Kprobe<H>`, at a call of
    /// ftrace's.
    unsafe extern "C" fn both(kp: *mut bindings::kprobe, regs: *mut bindings::pt_regs) -> c_int {
        // SAFETY: By this function's contract, which is that of `pre` and of `post` as well.
        unsafe {
            if H::HAS_PRE && Self::pre(kp, regs) != 0 {
                return 1;
            }
            register::post_at_entry(kp, regs, || Self::post(kp, regs, 0));
        }
        0
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
