// SPDX-License-Identifier: GPL-2.0

//! The module's list of registrations.
//!
//! Whatever is still on it when the module is unloaded, or its init fails, is
//! unregistered. So a probe that is never dropped, because it is in a static or
//! was forgotten, does not call code that has been freed.

use crate::bindings;
use kernel::{
    prelude::*,
    types::Opaque, //
};

/// Unregisters a registration: `kprobes_leave_*()` in C.
pub(crate) type Leave = unsafe extern "C" fn(*mut bindings::kprobes_registration, bool);

/// An entry of the module's list of registrations.
///
/// # Invariants
///
/// It is on the list from its initialisation to [`Held::leave`].
#[pin_data]
pub(crate) struct Held {
    #[pin]
    held: Opaque<bindings::kprobes_held>,
}

impl Held {
    /// Puts probes on the list: the one that `probes` points at if `count` is 0,
    /// else those in the array of `count` pointers that it points at.
    ///
    /// # Safety
    ///
    /// The probes must be registered, `leave` must be able to unregister them,
    /// and they and the array must not move before [`Held::leave`] or the end of
    /// the module.
    #[inline]
    pub(crate) unsafe fn enter(
        leave: Leave,
        probes: *mut c_void,
        count: usize,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            held <- Opaque::ffi_init(move |held: *mut bindings::kprobes_held| {
                // SAFETY: `held` is valid for writing.
                unsafe {
                    (&raw mut (*held).reg.leave).write(Some(leave));
                    (&raw mut (*held).reg.wanted).write(0);
                    (&raw mut (*held).reg.first).write(false);
                    (&raw mut (*held).probes).write(probes);
                    (&raw mut (*held).count).write(count as c_uint);
                }
                // SAFETY: `held` is pinned, and what `leave` reads of it is initialised.
                // INVARIANT: This puts it on the list.
                unsafe { bindings::kprobes_enter(&raw mut (*held).reg) };
            }),
        })
    }

    /// Returns the entry itself, for what is armed by events.
    #[inline]
    pub(crate) fn registration(&self) -> *mut bindings::kprobes_registration {
        // SAFETY: This only computes the address of a field.
        unsafe { &raw mut (*self.held.get()).reg }
    }

    /// Takes the probes off the list, unregisters them, and waits for running
    /// handlers. Calls `BUG()` where it must not sleep: in a handler, or under a
    /// lock.
    ///
    /// # Safety
    ///
    /// Must be called only once.
    #[inline]
    pub(crate) unsafe fn leave(&self) {
        // SAFETY: By the type invariant, it is on the list.
        unsafe { bindings::kprobes_leave(&raw mut (*self.held.get()).reg) };
    }
}
