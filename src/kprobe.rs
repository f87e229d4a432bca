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
    symbol::{
        Address,
        Location, //
    },
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
    /// more, with the final [`Kprobe::missed`]: the place to tell totals.
    ///
    /// Context: that of the drop, process context; it may sleep.
    fn unregistered(&self, missed: usize) {
        let _ = missed;
    }
}

/// How the kernel diverts the probed code to the handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Through ftrace's call at the entry of the function.
    Ftrace,
    /// By a jump in place of the instruction (`KPROBE_FLAG_OPTIMIZED`). The
    /// kernel writes the jump a moment after it has decided to.
    Jump,
    /// By a breakpoint instruction.
    Breakpoint,
}

impl Mechanism {
    /// The word that stands for it in a log line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ftrace => "ftrace",
            Self::Jump => "jump",
            Self::Breakpoint => "breakpoint",
        }
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
    pub fn new<'a>(
        target: Target<'a>,
        handler: impl PinInit<H, Error> + 'a,
    ) -> impl PinInit<Self, Error> + 'a {
        const { assert!(H::HAS_PRE || H::HAS_POST, "a Handler needs pre or post") };
        try_pin_init!(Self {
            // The kernel may call the handler before it returns from the registration, so the
            // handler comes first.
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

    /// The address of the probed instruction.
    pub fn address(&self) -> Address {
        // SAFETY: `kp` is registered, so nobody writes its `addr`.
        Address::new(unsafe { (*self.kp.get()).addr } as usize)
    }

    /// The probed place, as symbol and offset.
    pub fn location(&self) -> Location {
        self.address().location()
    }

    /// How many hits the kernel did not hand to the handler, because they came
    /// while a handler of some kprobe ran on the same CPU.
    pub fn missed(&self) -> usize {
        // SAFETY: `kp` is valid; the kernel writes the counter while we read it, hence volatile.
        unsafe { ptr::read_volatile(&raw const (*self.kp.get()).nmissed) }
    }

    /// How the kernel gets from the probed code to the handlers, at this moment.
    pub fn mechanism(&self) -> Mechanism {
        // SAFETY: `kp` is registered.
        unsafe { mechanism(self.kp.get()) }
    }
}

#[pinned_drop]
impl<H: Handler> PinnedDrop for Kprobe<H> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant `kp` is registered, and this is the only place that
        // unregisters it. The call waits for a grace period, so no handler runs after it.
        unsafe { bindings::unregister_kprobe(self.kp.get()) };
        self.handler.unregistered(self.missed());
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
        let handler = unsafe { Self::handler(kp) };
        // SAFETY: The kernel passes the registers of the probed code and the probe that was hit;
        // both are ours for the time of this call.
        let cx = unsafe { Context::<Pre>::new(regs, kp) };
        handler.pre(&cx);
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
        let handler = unsafe { Self::handler(kp) };
        // SAFETY: As in `pre`, after the instruction: `regs` and `kp` are valid during the call.
        let cx = unsafe { Context::<Post>::new(regs, kp) };
        handler.post(&cx);
    }

    /// # Safety
    ///
    /// `kp` must be the `kp` of a `Kprobe<H>` that is not freed while `'a` lasts.
    unsafe fn handler<'a>(kp: *mut bindings::kprobe) -> &'a H {
        // SAFETY: By this function's contract both pointers lie in one `Kprobe<H>`, and its
        // `handler` was initialised before the registration and is never borrowed mutably.
        unsafe {
            let kp = Opaque::cast_from(kp.cast_const()).cast_mut();
            &(*container_of!(kp, Kprobe<H>, kp)).handler
        }
    }
}

/// `LIST_POISON2`: where `pprev` of a node points that was taken off a list.
const LIST_POISON2: usize = bindings::KPROBES_LIST_POISON2 as usize;

/// What there is to do once the kernel has said that `kp` is registered.
///
/// It takes back the name of the symbol, which the kernel does not read again,
/// and finds out whether the probe is armed. `__register_kprobe()` in 7.2
/// returns 0 although `arm_kprobe()` failed; it takes the probe off its hash
/// list again, and that leaves a trace: `hlist` is poisoned while `list` is
/// empty. A probe that became part of an aggregate is poisoned too, but it is
/// on a `list`, and was put there first.
///
/// Fails with `EBUSY` where the probe is not armed.
///
/// # Safety
///
/// `register_kprobe()` must have returned 0 for `kp`.
pub(crate) unsafe fn after_register(kp: *mut bindings::kprobe) -> Result {
    // SAFETY: `kp` is valid by this function's contract, and the kernel does not touch
    // `symbol_name` of a registered probe.
    unsafe { (*kp).symbol_name = ptr::null() };

    // SAFETY: `kp` is valid; both fields may change while we read them, when somebody else
    // registers a probe at the same place, hence volatile and in this order.
    let (pprev, next) = unsafe {
        (
            ptr::read_volatile(&raw const (*kp).hlist.pprev),
            ptr::read_volatile(&raw const (*kp).list.next),
        )
    };
    // SAFETY: This only computes the address of a field of a valid struct.
    let head = unsafe { &raw mut (*kp).list };
    if pprev as usize == LIST_POISON2 && next == head {
        return Err(EBUSY);
    }
    Ok(())
}

/// How the probe `kp` is reached.
///
/// A probe that shares its place, or that can be optimised, stands on the list
/// of an aggregate probe, and only that one has `KPROBE_FLAG_OPTIMIZED`. The
/// aggregate is the member that is on the kernel's hash list: the others
/// either never were (`pprev` is `NULL`) or were replaced there (poisoned).
///
/// # Safety
///
/// `kp` must be registered.
pub(crate) unsafe fn mechanism(kp: *mut bindings::kprobe) -> Mechanism {
    // SAFETY: `kp` is valid; flags are written under `kprobe_mutex` only, and a word is read whole.
    let flags = |kp: *mut bindings::kprobe| unsafe { ptr::read_volatile(&raw const (*kp).flags) };
    if flags(kp) & bindings::KPROBE_FLAG_FTRACE != 0 {
        return Mechanism::Ftrace;
    }

    // Members that leave the list are freed only after a grace period.
    let _rcu = kernel::sync::rcu::read_lock();
    // SAFETY: This only computes the address of a field of a valid struct.
    let head = unsafe { &raw mut (*kp).list };
    // SAFETY: `list` is initialised by the registration; the kernel changes it by RCU.
    let mut at = unsafe { ptr::read_volatile(&raw const (*head).next) };
    while at != head {
        // SAFETY: Every member of the list is the `list` of a `struct kprobe`, and none of them is
        // freed while we hold the RCU read lock.
        let other = unsafe { container_of!(at, bindings::kprobe, list) };
        // SAFETY: `other` is valid, as above.
        let pprev = unsafe { ptr::read_volatile(&raw const (*other).hlist.pprev) };
        if !pprev.is_null() && pprev as usize != LIST_POISON2 {
            if flags(other) & bindings::KPROBE_FLAG_OPTIMIZED != 0 {
                return Mechanism::Jump;
            }
            break;
        }
        // SAFETY: `at` is a member of the list that is not freed before we unlock.
        at = unsafe { ptr::read_volatile(&raw const (*at).next) };
    }
    Mechanism::Breakpoint
}
