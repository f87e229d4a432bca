// SPDX-License-Identifier: GPL-2.0

//! The module's list of registrations.
//!
//! When the module is unloaded, or its init fails, probes that are still on the list are
//! unregistered: for example those in a static, which are never dropped. Else they would call code
//! that has been freed.

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
    /// Adds probes of the kind `K` to the list: only `first` if `count` is 0, else those in the
    /// array of `count` pointers, of which `first` is one.
    ///
    /// # Safety
    ///
    /// The probes must be registered. They and the array must not move until
    /// [`ModuleEntry::remove`] or the end of the module.
    #[inline]
    pub(super) unsafe fn add<K: Kind>(
        first: *mut K::Raw,
        array: *const *mut K::Raw,
        count: usize,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            reg <- Opaque::ffi_init(move |reg: *mut bindings::kprobes_registration| {
                // SAFETY: `reg` is valid for writes, and by the safety requirements, `first` is
                // registered.
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
                // INVARIANT: This adds it to the list.
                unsafe { bindings::kprobes_add_registration(reg) };
            }),
        })
    }

    /// Removes the probes from the list, unregisters them, and waits for running handlers. Ends in
    /// a `BUG()` in atomic context.
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

/// `kprobes_registration::unregister`, for probes of the kind `K`. NOKPROBE, see `registrations.c`.
///
/// # Safety
///
/// To be called once, with the probes of an entry that was removed from the list.
#[link_section = ".kprobes.text"]
unsafe extern "C" fn unregister<K: Kind>(probes: *mut *mut c_void, count: c_uint) {
    // SAFETY: By the safety requirements, `probes` has `count` probes, which are registered.
    unsafe { K::unregister(slice::from_raw_parts(probes.cast(), count as usize)) };
}
