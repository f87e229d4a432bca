// SPDX-License-Identifier: GPL-2.0

//! A probe at the entry and at the return of a function.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Handlers run in the context of the probed function, with preemption off:
//! they must not sleep. They may run on several CPUs at once.

use crate::{
    bindings,
    context::{
        Context,
        Pre,
        Return, //
    },
    probe::{
        self,
        Probe,
        Registered, //
    },
    register::{
        self,
        Held,
        Raw, //
    },
    target::Target, //
};
use core::{
    any::TypeId,
    marker::PhantomData,
    mem::{
        align_of,
        size_of, //
    },
    ptr, //
};
use kernel::{
    container_of,
    error::VTABLE_DEFAULT_ERROR,
    prelude::*,
    types::Opaque, //
};

/// What runs at a [`Kretprobe`].
///
/// Leave [`entry`](ReturnHandler::entry) out where only the return matters:
/// [`Data`](ReturnHandler::Data) is `()` then.
#[vtable]
pub trait ReturnHandler: Send + Sync + 'static {
    /// What the entry hands to the return of the same call.
    ///
    /// The kernel forgets it without a word when the task dies in the call, or
    /// when the probe is unregistered before the call returns; so it cannot
    /// have a destructor. At most 4096 bytes, aligned to at most 8; more does
    /// not compile.
    type Data: Copy + Send + 'static;

    /// Runs at the entry of the probed function. `None` skips the return of
    /// this call.
    ///
    /// Context: that of the function, preemption off; it must not sleep.
    fn entry(&self, cx: &Context<'_>) -> Option<Self::Data> {
        let _ = cx;
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Runs when the probed function has returned to its caller, with what
    /// the entry of this call gave.
    ///
    /// Context: that of the function, preemption off; it must not sleep.
    fn ret(&self, cx: &Context<'_, Return>, data: Self::Data);

    /// Runs once, when the probe is unregistered and no other method runs any
    /// more, with the final [`Probe::missed`]: the place to tell totals.
    ///
    /// Context: that of the drop, process context; it may sleep.
    fn unregistered(&self, missed: usize) {
        let _ = missed;
    }
}

/// A registered kretprobe and its handler.
///
/// Making one registers the probe, which sleeps. Dropping it unregisters the
/// probe and waits until no handler runs, which sleeps too: never drop one in
/// a handler. Calls in flight at that moment return without `ret` being run.
///
/// Since Linux 7.2. C functions: `register_kretprobe()`,
/// `unregister_kretprobe()`.
///
/// # Invariants
///
/// `rp` is registered, from the moment in which [`Kretprobe::new`] succeeds
/// until the value is dropped; while it is registered, its `entry_handler` and
/// `handler` are those of `Callbacks<H>`, where the former may be `NULL`.
#[pin_data(PinnedDrop)]
#[must_use = "a probe that is dropped is unregistered"]
pub struct Kretprobe<H: ReturnHandler> {
    #[pin]
    rp: Opaque<bindings::kretprobe>,
    #[pin]
    held: Held,
    #[pin]
    handler: H,
}

// SAFETY: The kernel registers and unregisters a kretprobe in any task's context; `H` is `Send`.
unsafe impl<H: ReturnHandler> Send for Kretprobe<H> {}
// SAFETY: `&Kretprobe` gives out `&H`, which is `Sync`, and reads of `rp` that tolerate the
// kernel's concurrent writes.
unsafe impl<H: ReturnHandler> Sync for Kretprobe<H> {}

impl<H: ReturnHandler> Kretprobe<H> {
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
    /// [`Probe::missed`]. 0 asks for the kernel's default.
    pub fn with_max_active<'a, E: 'a>(
        target: Target<'a>,
        max_active: u16,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        Self::register(target, max_active, handler, true)
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
        Self::register(target, max_active, handler, false)
    }

    #[inline(always)]
    fn register<'a, E: 'a>(
        target: Target<'a>,
        max_active: u16,
        handler: impl PinInit<H, E> + 'a,
        ask: bool,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        check::<H>();
        try_pin_init!(&this in Self {
            // The kernel may call the handler before it returns from the registration, so the
            // handler comes first.
            handler <- handler,
            rp <- Opaque::try_ffi_init(move |rp: *mut bindings::kretprobe| {
                // SAFETY: `try_ffi_init` hands us memory that is valid for writing a
                // `struct kretprobe`, for which all zeroes is a value; it is pinned. It stays
                // registered at most until `drop`, which waits for the handlers; `handler`, which
                // the callbacks use, is initialised.
                unsafe {
                    ptr::write_bytes(rp, 0, 1);
                    let callbacks = (Callbacks::<H>::entry as Callback, Callbacks::<H>::ret as Callback);
                    fill::<H>(&mut *rp, &target, max_active, callbacks);
                    register::register(rp)?;
                    if ask {
                        Raw::admit(rp).inspect_err(|_| register::withdraw(rp))?;
                    }
                    register::enable(&raw mut (*rp).kp)
                        .inspect_err(|_| register::withdraw(rp))
                }
            }),
            // SAFETY: `rp` is registered and pinned, and what `drop` does first is to leave.
            held <- unsafe {
                Held::enter(bindings::kretprobe::LEAVE, (&raw mut (*this.as_ptr()).rp).cast(), 0)
            },
        })
    }

    /// The handler, and whatever state it keeps.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// How many calls in flight the probe can follow.
    pub fn max_active(&self) -> usize {
        // SAFETY: `rp` is registered, and the kernel writes `maxactive` only while it registers.
        unsafe { (*self.rp.get()).maxactive as usize }
    }
}

impl<H: ReturnHandler> Probe for Kretprobe<H> {
    fn registered(&self) -> Registered<'_> {
        // SAFETY: By the type invariant `rp` is registered as long as `self` is not dropped.
        unsafe { Registered::kretprobe(self.rp.get()) }
    }
}

#[pinned_drop]
impl<H: ReturnHandler> PinnedDrop for Kretprobe<H> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: This is the only place that unregisters the probe once it is registered. No
        // handler runs after it.
        unsafe { self.held.leave() };
        // SAFETY: The counters stay readable: `rp` is still ours, and nobody writes it any more.
        let (dry, recursive) = unsafe { ((*self.rp.get()).nmissed, (*self.rp.get()).kp.nmissed) };
        self.handler.unregistered(probe::dry_calls(dry) + recursive);
    }
}

/// Checks at compile time what `H` promises of its data.
#[inline(always)]
pub(crate) fn check<H: ReturnHandler>() {
    const {
        assert!(
            size_of::<H::Data>() <= bindings::KRETPROBE_MAX_DATA_SIZE as usize,
            "ReturnHandler::Data is larger than KRETPROBE_MAX_DATA_SIZE"
        );
        assert!(
            align_of::<H::Data>() <= align_of::<bindings::kretprobe_instance>(),
            "ReturnHandler::Data asks for more alignment than a kretprobe_instance has"
        );
    };
    // Without an entry handler nobody writes the data, so it must be of the one type that is known
    // to have a value without that.
    build_assert!(H::HAS_ENTRY || TypeId::of::<H::Data>() == TypeId::of::<()>());
}

/// What the kernel calls at the entry or the return.
pub(crate) type Callback =
    unsafe extern "C" fn(*mut bindings::kretprobe_instance, *mut bindings::pt_regs) -> c_int;

/// Fills in a kretprobe that is to be registered. The entry's callback is left
/// out where `H` has no entry handler.
pub(crate) fn fill<H: ReturnHandler>(
    rp: &mut bindings::kretprobe,
    target: &Target<'_>,
    max_active: u16,
    (entry, ret): (Callback, Callback),
) {
    target.fill(&mut rp.kp);
    rp.maxactive = c_int::from(max_active);
    rp.data_size = size_of::<H::Data>();
    rp.entry_handler = H::HAS_ENTRY.then_some(entry);
    rp.handler = Some(ret);
}

/// The probe that `ri` is an instance of, as `get_kretprobe()` in C.
///
/// `None` where the probe is being unregistered on another CPU; that can be
/// seen only on architectures without `CONFIG_KRETPROBE_ON_RETHOOK`.
///
/// # Safety
///
/// `ri` must be an instance that the kernel passes to a handler.
#[inline(always)]
pub(crate) unsafe fn of_instance(
    ri: *mut bindings::kretprobe_instance,
) -> Option<*mut bindings::kretprobe> {
    #[cfg(CONFIG_KRETPROBE_ON_RETHOOK)]
    {
        // SAFETY: The instance is valid, its rethook is, and the data of that is the kretprobe,
        // which never changes.
        Some(unsafe { (*(*ri).node.rethook).data }.cast())
    }

    #[cfg(not(CONFIG_KRETPROBE_ON_RETHOOK))]
    {
        // SAFETY: The instance is valid and so is its holder; the kernel may write `rp` while we
        // read it, hence volatile.
        let rp = unsafe { ptr::read_volatile(&raw const (*(*ri).rph).rp) };
        (!rp.is_null()).then_some(rp)
    }
}

/// Runs the handler at the entry, and keeps what it gives in the instance.
///
/// # Safety
///
/// `ri`, `regs` and `rp` must be what the kernel passes to an entry handler,
/// and `rp` must have been filled in by `fill::<H>`.
#[inline(always)]
pub(crate) unsafe fn entry<H: ReturnHandler>(
    handler: &H,
    ri: *mut bindings::kretprobe_instance,
    regs: *mut bindings::pt_regs,
    rp: *mut bindings::kretprobe,
    index: usize,
) -> c_int {
    // SAFETY: By this function's contract they are valid for the time of this call.
    let cx = unsafe { Context::<Pre>::new(regs, &raw mut (*rp).kp, index, false) };
    match handler.entry(&cx) {
        Some(data) => {
            // SAFETY: `data` of the instance has room for `data_size` bytes, which is the size of
            // `H::Data`, and is aligned for it, as `check` makes sure.
            unsafe { (&raw mut (*ri).data).cast::<H::Data>().write(data) };
            0
        }
        None => 1,
    }
}

/// Runs the handler at the return, with what the entry kept.
///
/// # Safety
///
/// `ri`, `regs` and `rp` must be what the kernel passes to a return handler,
/// and `rp` must have been filled in by `fill::<H>`.
#[inline(always)]
pub(crate) unsafe fn ret<H: ReturnHandler>(
    handler: &H,
    ri: *mut bindings::kretprobe_instance,
    regs: *mut bindings::pt_regs,
    rp: *mut bindings::kretprobe,
    index: usize,
) -> c_int {
    // SAFETY: By this function's contract they are valid for the time of this call.
    let cx = unsafe { Context::<Return>::new(regs, &raw mut (*rp).kp, index, false) };
    // SAFETY: Either `entry` has written the data of this instance, or there is no entry handler
    // and `H::Data` is `()`, as `check` makes sure.
    let data = unsafe { (&raw const (*ri).data).cast::<H::Data>().read() };
    handler.ret(&cx, data);
    0
}

/// The C side's entry points for a [`Kretprobe`] with the handler type `H`.
struct Callbacks<H>(PhantomData<H>);

impl<H: ReturnHandler> Callbacks<H> {
    /// # Safety
    ///
    /// Only for the `entry_handler` of the `rp` of a `Kretprobe<H>`.
    unsafe extern "C" fn entry(
        ri: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: `ri` is an instance of a probe, by this function's contract.
        let Some(rp) = (unsafe { of_instance(ri) }) else {
            return 1;
        };
        // SAFETY: The kernel calls this for `rp`, whose drop waits for it.
        unsafe { entry(Self::handler(rp), ri, regs, rp, 0) }
    }

    /// # Safety
    ///
    /// Only for the `handler` of the `rp` of a `Kretprobe<H>`.
    unsafe extern "C" fn ret(
        ri: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: `ri` is an instance of a probe, by this function's contract.
        let Some(rp) = (unsafe { of_instance(ri) }) else {
            return 0;
        };
        // SAFETY: The kernel calls this for `rp`, whose drop waits for it.
        unsafe { ret(Self::handler(rp), ri, regs, rp, 0) }
    }

    /// # Safety
    ///
    /// `rp` must be the field of a `Kretprobe<H>` that is not dropped while
    /// `'a` lasts.
    #[inline(always)]
    unsafe fn handler<'a>(rp: *mut bindings::kretprobe) -> &'a H {
        // SAFETY: By this function's contract both pointers lie in one `Kretprobe<H>`, whose
        // `handler` was initialised before the registration and is never borrowed mutably.
        unsafe {
            let rp = Opaque::cast_from(rp.cast_const()).cast_mut();
            &(*container_of!(rp, Kretprobe<H>, rp)).handler
        }
    }
}
