// SPDX-License-Identifier: GPL-2.0

//! The module's list of registrations.
//!
//! Whatever is still on the list when the module is unloaded, or when its init fails, is
//! unregistered. So a probe that is never dropped, because it is in a static or was forgotten, does
//! not call code that has been freed.

use super::{
    Kind,
    Raw, //
};
use crate::prelude::*;

/// An entry of the module's list of registrations.
///
/// # Invariants
///
/// It is on the list from its initialisation to [`ModuleEntry::remove`].
#[pin_data]
pub(super) struct ModuleEntry {
    #[pin]
    pub(super) reg: Opaque<bindings::kprobes_registration>,
}

impl ModuleEntry {
    /// Puts probes of the kind `K` on the list: `first` alone if `count` is 0, else those in the
    /// array of `count` pointers, of which `first` is one.
    ///
    /// # Safety
    ///
    /// The probes must be registered. They and the array must not move before
    /// [`ModuleEntry::remove`] or the end of the module.
    #[inline]
    pub(super) unsafe fn add<K: Kind>(
        first: *mut K::Raw,
        array: *const *mut K::Raw,
        count: usize,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            reg <- Opaque::ffi_init(move |reg: *mut bindings::kprobes_registration| {
                // SAFETY: `reg` is valid for writing and pinned. By the safety requirements, the
                // probes are registered.
                unsafe {
                    (*reg).unregister = Some(unregister::<K>);
                    (*reg).address = K::Raw::address(first);
                    (*reg).name = K::Raw::name(first);
                    (*reg).single = first.cast();
                    (*reg).probes = match count {
                        0 => &raw mut (*reg).single,
                        _ => array.cast_mut().cast(),
                    };
                    (*reg).count = count.max(1) as c_uint;
                    (*reg).users = 0;
                }
                // SAFETY: `reg` is pinned and filled in.
                // INVARIANT: This puts it on the list.
                unsafe { bindings::kprobes_add_registration(reg) };
            }),
        })
    }

    /// Takes the probes off the list, unregisters them, and waits for running handlers. Calls
    /// `BUG()` in atomic context: in a handler, or under a lock.
    ///
    /// # Safety
    ///
    /// Must be called only once.
    #[inline]
    pub(super) unsafe fn remove(&self) {
        // SAFETY: By the type invariant, it is on the list.
        unsafe { bindings::kprobes_remove_registration(self.reg.get()) };
    }
}

/// `kprobes_registration::unregister`, for probes of the kind `K`. It runs at the module's end, so
/// it refuses kprobes, as what it calls does: see `registrations.c`.
///
/// # Safety
///
/// To be called once, with the probes of an entry that has been taken off the list.
#[link_section = ".kprobes.text"]
unsafe extern "C" fn unregister<K: Kind>(probes: *mut *mut c_void, count: c_uint) {
    // SAFETY: By the safety requirements, `probes` has so many, which are registered.
    unsafe { K::unregister(slice::from_raw_parts(probes.cast(), count as usize)) };
}
