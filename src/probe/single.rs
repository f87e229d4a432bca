// SPDX-License-Identifier: GPL-2.0

//! A single probe and its handler.

use super::{module_entry::ModuleEntry, named::refused};
use crate::kernel_ext::may_wait::may_register;
use crate::prelude::*;
use crate::probe::{
    constructor, constructors, Handles, Kind, Options, Owner, Raw, Registered, Safe,
};
use core::ops::Deref;

/// A registered probe of the kind `K` and its handler. It dereferences to [`Registered`].
///
/// Initialising it registers the probe. Dropping it unregisters the probe and waits for running
/// handlers, so it must not be dropped in a handler. Both sleep.
///
/// # Invariants
///
/// `registered` is registered, and `entry` is on the module's list, until the value is dropped.
#[pin_data(PinnedDrop)]
#[must_use = "dropping the probe unregisters it"]
pub struct Probe<K: Kind, H: Handles<K>> {
    #[pin]
    registered: Registered<K>,
    #[pin]
    pub(super) entry: ModuleEntry,
    #[pin]
    handler: H,
}

// SAFETY: Any task may unregister a probe, and `H` is `Send`.
unsafe impl<K: Kind, H: Handles<K>> Send for Probe<K, H> {}
// SAFETY: `&Probe` gives access to `&H` and `&Registered`, which are `Sync`.
unsafe impl<K: Kind, H: Handles<K>> Sync for Probe<K, H> {}

impl<K: Safe, H: Handles<K>> Probe<K, H> {
    constructors! {
        /// Registers `handler` at `target`.
        ///
        /// Context: process context; it sleeps.
        ///
        /// Errors: `EDEADLK` if the caller must not sleep: in a handler, under a spinlock, with
        /// interrupts or preemption disabled, or in an RCU read-side critical section. `EINVAL` if
        /// the probe would be on the stack, see [the crate](crate#where-not-to-create-a-probe).
        /// `ENOMEM`. Those of the kind: [kprobes](crate::kprobe#errors), [return
        /// probes](crate::kretprobe#errors), [entry probes](crate::entry#errors),
        /// [tracepoints](crate::tracepoint#errors).
        for<'a> K::Target<'a>, Options<K::Specific>, register
    }
}

impl<K: Kind, H: Handles<K>> Probe<K, H> {
    constructor! {
        #[inline(always)]
        pub(crate) fn register<'a>(
            handler,
            target: K::Target<'a>,
            options: Options<K::Specific>,
        ) {
            try_pin_init!(&this in Self {
                // First: the kernel may call it before the registration returns.
                handler <- handler,
                // SAFETY: If the closure returns `Ok`, `registered` is initialised. All is pinned.
                registered <- unsafe {
                    pin_init::pin_init_from_closure(move |registered: *mut Registered<K>| {
                        registered.write(Registered::uninit(options.pending.unwrap_or(0)));
                        Self::try_register((*registered).as_raw(), target, options)
                    })
                },
                // SAFETY: `registered` is registered and pinned, and is dropped after `remove`.
                // INVARIANT: This adds it to the list.
                entry <- unsafe {
                    ModuleEntry::add::<K>((*this.as_ptr()).registered.as_raw(), ptr::null(), 0)
                },
            })
        }
    }

    /// # Safety
    ///
    /// `raw` must be the C struct of a `Self`, pinned and not registered. The handler must be
    /// initialised, and must not be dropped before the probe is unregistered.
    #[inline(always)]
    unsafe fn try_register(
        raw: *mut K::Raw,
        target: K::Target<'_>,
        options: Options<K::Specific>,
    ) -> Result {
        may_register(raw)?;
        let guard = K::Raw::lock()?;
        let plan = |_| H::plan::<Self>(target, options);
        // SAFETY: By the safety requirements, `raw` and the handler, which the callbacks use, are
        // valid until the probe is unregistered.
        let done = unsafe { K::Raw::register::<K>(guard, &mut [raw], plan, |_, error| Err(error)) };
        done.map(|_| ()).inspect_err(|&error| {
            if options.pending.is_none() {
                refused::<K>(target, options, -1, error);
            }
        })
    }

    /// Returns the handler.
    pub fn handler(&self) -> &H {
        &self.handler
    }
}

impl<K: Kind, H: Handles<K>> Deref for Probe<K, H> {
    type Target = Registered<K>;

    #[inline(always)]
    fn deref(&self) -> &Registered<K> {
        &self.registered
    }
}

impl<K: Kind, H: Handles<K>> fmt::Debug for Probe<K, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registered.fmt(f)
    }
}

#[pinned_drop]
impl<K: Kind, H: Handles<K>> PinnedDrop for Probe<K, H> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: This is the only call of `remove`.
        unsafe { self.entry.remove() };
        // SAFETY: The probe was registered until now.
        let missed = unsafe { K::Raw::missed(self.registered.as_raw()) };
        self.handler.unregistered(missed);
    }
}

// SAFETY: The handler is initialised before the probe is registered.
unsafe impl<K: Kind, H: Handles<K>> Owner<K::Raw> for Probe<K, H> {
    type Handler = H;

    #[inline(always)]
    unsafe fn handler<'a>(raw: *mut K::Raw) -> &'a H {
        // SAFETY: By the safety requirements, `raw` is the `registered` of a `Probe<K, H>`.
        let probe = unsafe { container_of!(Registered::<K>::from_raw(raw), Self, registered) };
        // SAFETY: The handler is valid for `'a`, because dropping the probe waits for running
        // handlers. The probe is not borrowed, because `entry` may not be initialised yet.
        unsafe { &(*probe).handler }
    }
}
