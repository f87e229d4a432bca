// SPDX-License-Identifier: GPL-2.0

//! The module's list of what it has registered.
//!
//! What is on that list when the module has left, or its init has failed, is
//! unregistered then. So probes that are never dropped, because they lie in a
//! static or were forgotten, call no code that is gone.

use crate::bindings;
use kernel::{
    prelude::*,
    types::Opaque, //
};

/// How what is registered is unregistered: `kprobes_leave_*()` in C.
pub(crate) type Leave = unsafe extern "C" fn(*mut bindings::kprobes_registration, bool);

/// A place on the module's list of what is registered.
///
/// # Invariants
///
/// From its initialisation to [`Held::leave`] it is on the list.
#[pin_data]
pub(crate) struct Held {
    #[pin]
    held: Opaque<bindings::kprobes_held>,
}

impl Held {
    /// Puts on the list what `leave` unregisters: the probe at `probes`, where
    /// `count` is 0, else those at the `count` pointers there.
    ///
    /// # Safety
    ///
    /// What `probes` points at must be registered, be what `leave` is for, and
    /// stay where it is until [`Held::leave`] or the end of the module.
    #[inline]
    pub(crate) unsafe fn enter(
        leave: Leave,
        probes: *mut c_void,
        count: usize,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            held <- Opaque::ffi_init(move |held: *mut bindings::kprobes_held| {
                // SAFETY: `held` is valid for writing and pinned. INVARIANT: It is on the list.
                unsafe {
                    (&raw mut (*held).reg.leave).write(Some(leave));
                    (&raw mut (*held).reg.first).write(false);
                    (&raw mut (*held).probes).write(probes);
                    (&raw mut (*held).count).write(count as c_uint);
                    bindings::kprobes_enter(&raw mut (*held).reg);
                }
            }),
        })
    }

    /// Disarms and unregisters, and waits for the handlers. Stops the task or
    /// the machine where one must not sleep: in a handler, or under a lock.
    ///
    /// # Safety
    ///
    /// To be called once.
    #[inline]
    pub(crate) unsafe fn leave(&self) {
        // SAFETY: By the type invariant, it is on the list, and what it holds is registered.
        unsafe { bindings::kprobes_leave(&raw mut (*self.held.get()).reg) };
    }
}
