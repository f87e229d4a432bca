// SPDX-License-Identifier: GPL-2.0

//! One registered probe and its handler, which lie in one place.

use crate::{
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

/// What was hit.
pub(crate) struct Hit<'a, H> {
    pub(crate) handler: &'a H,
    /// Which target of a set, from 0; 0 for a single probe.
    pub(crate) index: usize,
}

/// Where the C struct `K` of a probe lies, and so, whose it is.
///
/// # Safety
///
/// [`Owner::hit`] must be safe to call under its safety requirements.
pub(crate) unsafe trait Owner<K> {
    type Handler;

    /// From the C struct that the kernel calls back with to its handler.
    ///
    /// # Safety
    ///
    /// `raw` must be a probe of this owner that stays registered for the
    /// duration of `'a`.
    unsafe fn hit<'a>(raw: *mut K) -> Hit<'a, Self::Handler>;
}

/// A handler of probes whose C struct is `K`.
///
/// # Safety
///
/// `LEAVE` must unregister probes of type `K` that a [`Plan`] for this handler has
/// filled in.
pub unsafe trait HandlerOf<K> {
    #[doc(hidden)]
    const LEAVE: Leave;

    /// Called once, when no other method runs any more.
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

// SAFETY: The kernel registers and unregisters a probe in any task's context.
unsafe impl<K: Raw, H: HandlerOf<K> + Send> Send for Slot<K, H> {}
// SAFETY: `&Slot` gives out `&H`, and a `&Probe`, which is `Sync`.
unsafe impl<K: Raw, H: HandlerOf<K> + Sync> Sync for Slot<K, H> {}

impl<K: Raw, H: HandlerOf<K>> Slot<K, H> {
    /// Registers a probe by `plan`.
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
            // The kernel may call the handler before the registration returns, so it comes first.
            handler <- handler,
            // SAFETY: `register` initialises what it returns `Ok` for.
            probe <- unsafe {
                pin_init::pin_init_from_closure(move |probe| Self::register(probe, plan))
            },
            // SAFETY: `probe` is registered and pinned, and `LEAVE` is for it. INVARIANT: It is on
            // the list.
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
        // SAFETY: By the safety requirements, `probe` is valid for writing and pinned.
        let raw = unsafe { Registered::prepare(probe) };
        // SAFETY: As above, and what the callbacks use, the handler, is initialised. It stays so
        // until the drop.
        unsafe { registration::register(&mut [raw], |_| plan, |_, error| Err(error)) }.map(|_| ())
    }

    /// The probe.
    #[inline(always)]
    pub(crate) fn probe(&self) -> &Probe {
        // SAFETY: By the type invariant, it is registered as long as others than the destructor can
        // borrow it.
        unsafe { Probe::from_raw(&raw const self.probe) }
    }

    /// The C struct, which is registered.
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
        // SAFETY: By the type invariant, it is on the list; this is the only call. No handler runs
        // after it.
        unsafe { self.held.leave() };
        // The kernel has forgotten the C struct, whose counters stay readable.
        self.handler.unregistered(self.probe().missed());
    }
}

// SAFETY: `raw` lies in a slot whose handler was initialised before the registration.
unsafe impl<K: Raw, H: HandlerOf<K>> Owner<K> for Slot<K, H> {
    type Handler = H;

    #[inline(always)]
    unsafe fn hit<'a>(raw: *mut K) -> Hit<'a, H> {
        let raw = Opaque::cast_from(raw.cast_const()).cast_mut();
        // SAFETY: By the safety requirements, `raw` lies in a `Slot<K, H>`.
        let slot = unsafe { container_of!(raw, Self, probe.raw) };
        // SAFETY: The slot is valid for `'a`, because the drop waits for the handlers. The handler
        // alone is borrowed: `held` may not be initialised yet.
        let handler = unsafe { &(*slot).handler };
        Hit { handler, index: 0 }
    }
}

/// Lets a type that holds a [`Slot`] be used as the probe.
macro_rules! derefs_to_probe {
    ($name:ident) => {
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
