// SPDX-License-Identifier: GPL-2.0

//! A single registered probe and its handler.

use crate::{
    bindings,
    held::{
        Held,
        Leave, //
    },
    probe::{
        Probe,
        Registered, //
    },
    registration::{
        self,
        Plan,
        Raw, //
    }, //
};
use kernel::{
    container_of,
    prelude::*,
    types::Opaque, //
};

/// The handler of the probe that was hit.
pub(crate) struct Hit<'a, H> {
    pub(crate) handler: &'a H,
    /// The index of the target in a set; 0 for a single probe.
    pub(crate) index: usize,
}

/// A type that contains the C struct `K` of a probe, or of each probe of a set.
///
/// # Safety
///
/// [`Owner::hit`] must be sound for every caller that meets its safety
/// requirements.
pub(crate) unsafe trait Owner<K> {
    type Handler;

    /// Returns the handler for the C struct that the kernel passes to a callback.
    ///
    /// # Safety
    ///
    /// `raw` must be a probe of such an owner, and stay registered for the
    /// duration of `'a`.
    unsafe fn hit<'a>(raw: *mut K) -> Hit<'a, Self::Handler>;
}

/// A handler of probes whose C struct is `K`.
///
/// # Safety
///
/// `LEAVE` must be able to unregister probes of type `K` that a [`Plan`] for this
/// handler has filled in.
pub unsafe trait HandlerOf<K> {
    #[doc(hidden)]
    const LEAVE: Leave;

    /// Called once, after all handlers have finished.
    fn unregistered(&self, missed: usize);
}

/// A single registered probe and its handler.
///
/// # Invariants
///
/// `probe` is registered, and `held` on the module's list, until the slot is
/// dropped.
#[pin_data(PinnedDrop)]
pub(crate) struct Slot<K: Raw, H: HandlerOf<K>> {
    #[pin]
    probe: Registered<K>,
    #[pin]
    held: Held,
    #[pin]
    handler: H,
}

// SAFETY: A probe may be unregistered by any task, and `H` is `Send`.
unsafe impl<K: Raw, H: HandlerOf<K> + Send> Send for Slot<K, H> {}
// SAFETY: `&Slot` gives access to `&H` and `&Probe`, which are `Sync`.
unsafe impl<K: Raw, H: HandlerOf<K> + Sync> Sync for Slot<K, H> {}

impl<K: Raw, H: HandlerOf<K>> Slot<K, H> {
    /// Registers a probe as `plan` says.
    ///
    /// # Safety
    ///
    /// The callbacks of `plan` must be for probes of a `Slot<K, H>`.
    #[inline(always)]
    pub(crate) unsafe fn new<'a, E: 'a>(
        plan: impl Plan<K> + Copy + 'a,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
        Self: 'a,
    {
        try_pin_init!(&this in Self {
            // First, because the kernel may call it before the registration returns.
            handler <- handler,
            // SAFETY: `register` initialises `probe` if it returns `Ok`. The handler is
            // initialised.
            probe <- unsafe {
                pin_init::pin_init_from_closure(move |probe| Self::register(probe, plan))
            },
            // SAFETY: `probe` is registered and pinned, and `LEAVE` unregisters it.
            // INVARIANT: This puts it on the list.
            held <- unsafe {
                Held::enter(H::LEAVE, (&raw mut (*this.as_ptr()).probe.raw).cast(), 0)
            },
        })
    }

    /// # Safety
    ///
    /// `probe` must be that of a slot whose handler is initialised.
    #[inline(always)]
    unsafe fn register(probe: *mut Registered<K>, plan: impl Plan<K> + Copy) -> Result {
        registration::may_register(probe)?;
        // SAFETY: By the safety requirements, `probe` is valid for writing and pinned.
        let raw = unsafe { Registered::prepare(probe) };
        // SAFETY: `raw` is pinned with the slot and not registered. The handler, which the
        // callbacks use, is initialised and stays valid until the slot is dropped, which
        // unregisters `raw`.
        unsafe { registration::register(&mut [raw], |_| plan, |_, error| Err(error)) }.map(|_| ())
    }

    #[inline(always)]
    pub(crate) fn probe(&self) -> &Probe {
        // SAFETY: By the type invariant, `probe` is registered until the slot is dropped.
        unsafe { Probe::from_raw(&raw const self.probe) }
    }

    #[inline]
    pub(crate) fn registration(&self) -> *mut bindings::kprobes_registration {
        self.held.registration()
    }

    /// Returns the C struct, which is registered.
    #[inline(always)]
    pub(crate) fn as_raw(&self) -> *mut K {
        self.probe.raw.get()
    }

    #[inline(always)]
    pub(crate) fn handler(&self) -> &H {
        &self.handler
    }
}

#[pinned_drop]
impl<K: Raw, H: HandlerOf<K>> PinnedDrop for Slot<K, H> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant, `held` is on the list, and this is the only call of
        // `leave`.
        unsafe { self.held.leave() };
        // SAFETY: `probe` was registered until now.
        let missed = unsafe { self.probe.missed() };
        self.handler.unregistered(missed);
    }
}

// SAFETY: A registered `raw` is a field of a slot whose handler was initialised before it.
unsafe impl<K: Raw, H: HandlerOf<K>> Owner<K> for Slot<K, H> {
    type Handler = H;

    #[inline(always)]
    unsafe fn hit<'a>(raw: *mut K) -> Hit<'a, H> {
        let raw = Opaque::cast_from(raw.cast_const()).cast_mut();
        // SAFETY: By the safety requirements, `raw` is a field of a `Slot<K, H>`.
        let slot = unsafe { container_of!(raw, Self, probe.raw) };
        // SAFETY: The slot is valid for `'a`, because dropping it waits for running handlers. Only
        // the handler is borrowed: `held` may not be initialised yet.
        let handler = unsafe { &(*slot).handler };
        Hit { handler, index: 0 }
    }
}

/// Implements `Deref` to the probe for a type with a [`Slot`].
macro_rules! derefs_to_probe {
    ($name:ident) => {
        // SAFETY: By the invariant of `Slot`, it is on the list until it is dropped.
        unsafe impl<H: Handler> crate::event::Arm for $name<H> {
            const ARM: crate::event::ArmCall = crate::bindings::kprobes_arm_held;

            #[inline]
            fn registration(&self) -> *mut crate::bindings::kprobes_registration {
                self.slot.registration()
            }
        }

        impl<H: Handler> core::ops::Deref for $name<H> {
            type Target = crate::Probe;

            #[inline(always)]
            fn deref(&self) -> &Self::Target {
                self.slot.probe()
            }
        }
    };
}
pub(crate) use derefs_to_probe;
