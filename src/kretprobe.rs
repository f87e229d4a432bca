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
    kprobe::{
        after_register,
        mechanism,
        Mechanism, //
    },
    symbol::{
        Address,
        Location, //
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
    error::{
        to_result,
        VTABLE_DEFAULT_ERROR, //
    },
    prelude::*,
    types::Opaque, //
};

/// The most calls in flight that a [`Kretprobe`] can be asked to follow, as for
/// tracefs (`KRETPROBE_MAXACTIVE_MAX`).
pub const MAX_ACTIVE_MAX: u16 = 4096;

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
    /// more, with the final [`Kretprobe::missed`]: the place to tell totals.
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
    /// - `EINVAL`: the target is not the entry of a function, or cannot be probed (NOKPROBE,
    ///   `notrace`, outside of text);
    /// - `EBUSY`: the kernel said yes and yet did not arm the probe, see [`Kprobe::new`];
    /// - `EOPNOTSUPP`: a kernel without `CONFIG_KRETPROBES`;
    /// - `ENOMEM`.
    ///
    /// [`Kprobe::new`]: crate::Kprobe::new
    pub fn new<'a>(
        target: Target<'a>,
        handler: impl PinInit<H, Error> + 'a,
    ) -> impl PinInit<Self, Error> + 'a {
        Self::with_max_active(target, 0, handler)
    }

    /// As [`Kretprobe::new`], following up to `max_active` calls in flight.
    ///
    /// A call that comes when all are in use is not followed but counted, see
    /// [`Kretprobe::missed`]. 0 asks for the kernel's default. More than
    /// [`MAX_ACTIVE_MAX`] fails with `E2BIG`.
    pub fn with_max_active<'a>(
        target: Target<'a>,
        max_active: u16,
        handler: impl PinInit<H, Error> + 'a,
    ) -> impl PinInit<Self, Error> + 'a {
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
        // Without an entry handler nobody writes the data, so it must be of the one type that is
        // known to have a value without that.
        build_assert!(H::HAS_ENTRY || TypeId::of::<H::Data>() == TypeId::of::<()>());

        try_pin_init!(Self {
            // The kernel may call the handler before it returns from the registration, so the
            // handler comes first.
            handler <- handler,
            rp <- Opaque::try_ffi_init(move |rp: *mut bindings::kretprobe| {
                if max_active > MAX_ACTIVE_MAX {
                    return Err(E2BIG);
                }
                // SAFETY: `try_ffi_init` hands us memory that is valid for writing a
                // `struct kretprobe`, for which all zeroes is a value.
                let fields = unsafe {
                    ptr::write_bytes(rp, 0, 1);
                    &mut *rp
                };
                target.fill(&mut fields.kp);
                fields.maxactive = c_int::from(max_active);
                fields.data_size = size_of::<H::Data>();
                fields.handler = Some(Callbacks::<H>::ret);
                if H::HAS_ENTRY {
                    fields.entry_handler = Some(Callbacks::<H>::entry);
                }
                // SAFETY: `rp` is filled, it is pinned and stays registered at most until `drop`,
                // which waits for the handlers; `handler`, which the callbacks use, is initialised.
                to_result(unsafe { bindings::register_kretprobe(rp) })?;
                // SAFETY: `register_kretprobe()` returned 0, and with it `register_kprobe()` did.
                unsafe { after_register(&raw mut (*rp).kp) }.inspect_err(|_| {
                    // SAFETY: `rp` was registered above and is unregistered here, once. The kernel
                    // finds that the probe is not on its list, and frees the instances.
                    unsafe { bindings::unregister_kretprobe(rp) };
                })
            }),
        })
    }

    /// The handler, and whatever state it keeps.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// The address of the probed function's entry.
    pub fn address(&self) -> Address {
        // SAFETY: `rp` is registered, so nobody writes its `addr`.
        Address::new(unsafe { (*self.rp.get()).kp.addr } as usize)
    }

    /// The probed place, as symbol and offset.
    pub fn location(&self) -> Location {
        self.address().location()
    }

    /// How many calls were not followed: because as many as the probe can
    /// follow were in flight, or because they came while a handler of some
    /// kprobe ran on the same CPU.
    pub fn missed(&self) -> usize {
        // SAFETY: `rp` is valid; the kernel writes both counters while we read, hence volatile.
        let (dry, recursive) = unsafe {
            (
                ptr::read_volatile(&raw const (*self.rp.get()).nmissed),
                ptr::read_volatile(&raw const (*self.rp.get()).kp.nmissed),
            )
        };
        dry as usize + recursive
    }

    /// How many calls in flight the probe can follow.
    pub fn max_active(&self) -> usize {
        // SAFETY: `rp` is registered, and the kernel writes `maxactive` only while it registers.
        unsafe { (*self.rp.get()).maxactive as usize }
    }

    /// How the kernel gets from the probed code to the handlers, at this moment.
    pub fn mechanism(&self) -> Mechanism {
        // SAFETY: `rp` is registered, and so is its `kp`.
        unsafe { mechanism(&raw mut (*self.rp.get()).kp) }
    }
}

#[pinned_drop]
impl<H: ReturnHandler> PinnedDrop for Kretprobe<H> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant `rp` is registered, and this is the only place that
        // unregisters it once it is. The call waits for a grace period, so no handler runs after it.
        unsafe { bindings::unregister_kretprobe(self.rp.get()) };
        self.handler.unregistered(self.missed());
    }
}

/// The C side's entry points for the handler type `H`.
struct Callbacks<H>(PhantomData<H>);

impl<H: ReturnHandler> Callbacks<H> {
    /// # Safety
    ///
    /// Only for the `entry_handler` of the `rp` of a `Kretprobe<H>`.
    unsafe extern "C" fn entry(
        ri: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: `ri` is an instance of the `rp` of a `Kretprobe<H>`, which outlives this call.
        let Some((handler, rp)) = (unsafe { Self::probe(ri) }) else {
            return 1;
        };
        // SAFETY: The kernel passes the registers of the probed code; they and the probe are ours
        // for the time of this call.
        let cx = unsafe { Context::<Pre>::new(regs, &raw mut (*rp).kp) };
        match handler.entry(&cx) {
            Some(data) => {
                // SAFETY: `data` of the instance has room for `data_size` bytes, which is the size
                // of `H::Data`, and is aligned for it, as `with_max_active` checks.
                unsafe { (&raw mut (*ri).data).cast::<H::Data>().write(data) };
                0
            }
            None => 1,
        }
    }

    /// # Safety
    ///
    /// Only for the `handler` of the `rp` of a `Kretprobe<H>`.
    unsafe extern "C" fn ret(
        ri: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: `ri` is an instance of the `rp` of a `Kretprobe<H>`, which outlives this call.
        let Some((handler, rp)) = (unsafe { Self::probe(ri) }) else {
            return 0;
        };
        // SAFETY: The kernel passes the registers at the return; they and the probe are ours for
        // the time of this call.
        let cx = unsafe { Context::<Return>::new(regs, &raw mut (*rp).kp) };
        // SAFETY: Either `entry` has written the data of this instance, or there is no `entry` and
        // `H::Data` is `()`, as `with_max_active` checks.
        let data = unsafe { (&raw const (*ri).data).cast::<H::Data>().read() };
        handler.ret(&cx, data);
        0
    }

    /// The probe that `ri` is an instance of, as `get_kretprobe()` in C.
    ///
    /// `None` where the probe is being unregistered on another CPU; that can be
    /// seen only on architectures without `CONFIG_KRETPROBE_ON_RETHOOK`.
    ///
    /// # Safety
    ///
    /// `ri` must be an instance that the kernel passes to a handler of the
    /// `rp` of a `Kretprobe<H>`, and `'a` must end with that call.
    #[inline(always)]
    unsafe fn probe<'a>(
        ri: *mut bindings::kretprobe_instance,
    ) -> Option<(&'a H, *mut bindings::kretprobe)> {
        #[cfg(CONFIG_KRETPROBE_ON_RETHOOK)]
        // SAFETY: The instance is valid, its rethook is, and the data of that is the kretprobe,
        // which never changes.
        let rp = unsafe { (*(*ri).node.rethook).data }.cast::<bindings::kretprobe>();

        #[cfg(not(CONFIG_KRETPROBE_ON_RETHOOK))]
        let rp = {
            // SAFETY: The instance is valid and so is its holder; the kernel may write `rp` while
            // we read it, hence volatile.
            let rp = unsafe { ptr::read_volatile(&raw const (*(*ri).rph).rp) };
            if rp.is_null() {
                return None;
            }
            rp
        };

        // SAFETY: By this function's contract `rp` is the field of a `Kretprobe<H>`, whose drop
        // waits for this handler, and whose `handler` is never borrowed mutably.
        let handler = unsafe {
            let rp = Opaque::cast_from(rp.cast_const()).cast_mut();
            &(*container_of!(rp, Kretprobe<H>, rp)).handler
        };
        Some((handler, rp))
    }
}
