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
use crate::bindings;
use core::slice;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// Checks that `object` may be registered, and that the caller may sleep.
///
/// # Errors
///
/// `EDEADLK` in atomic context, and `EINVAL` on the stack of the current task: a task that ends in
/// a `BUG()`, as in a Rust panic, drops nothing, and its stack is freed.
#[inline]
pub(crate) fn may_register<T>(object: *const T) -> Result {
    // SAFETY: The function looks at the current task, and compares the address with its stack.
    to_result(unsafe { bindings::kprobes_may_register(object.cast()) })
}

/// An entry of the module's list of registrations.
///
/// # Invariants
///
/// It is on the list from its initialisation to [`ModuleEntry::remove`].
#[pin_data]
pub(super) struct ModuleEntry {
    #[pin]
    reg: Opaque<bindings::kprobes_registration>,
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
                // SAFETY: By the safety requirements, the probes are registered.
                let (name, address) = unsafe { (K::Raw::name(first), K::Raw::address(first)) };
                let probes: *mut c_void = match count {
                    0 => first.cast(),
                    _ => array.cast_mut().cast(),
                };
                let (place, is_name) = match name.is_null() {
                    true => (address as *const c_void, false),
                    false => (name.cast(), true),
                };
                // SAFETY: `reg` is valid for writing and pinned.
                // INVARIANT: This puts it on the list.
                unsafe {
                    bindings::kprobes_add_registration(
                        reg,
                        Some(unregister::<K>),
                        probes,
                        count as c_uint,
                        place,
                        is_name,
                    )
                };
            }),
        })
    }

    /// Returns the C struct, for what is armed by events.
    #[inline]
    pub(super) fn registration(&self) -> *mut bindings::kprobes_registration {
        self.reg.get()
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

/// Returns the probes of an entry.
///
/// # Safety
///
/// `reg` must be the entry of probes of the kind `K`.
#[inline]
pub(super) unsafe fn probes_of<'a, K: Kind>(
    reg: *const bindings::kprobes_registration,
) -> &'a [*mut K::Raw] {
    // SAFETY: By the safety requirements, `reg` is valid.
    let (probes, count) = unsafe { (&raw const (*reg).probes, (*reg).count as usize) };
    // SAFETY: By the safety requirements of `ModuleEntry::add`, either the field is a pointer to
    // the only probe, or it points at an array of so many pointers.
    unsafe {
        match count {
            0 => slice::from_raw_parts(probes.cast(), 1),
            _ => slice::from_raw_parts((*probes).cast(), count),
        }
    }
}

/// `kprobes_registration::unregister`, for probes of the kind `K`. It runs at the module's end, so
/// it refuses kprobes, as what it calls does: see `registrations.c`.
///
/// # Safety
///
/// To be called once, when `reg` has been taken off the list.
#[link_section = ".kprobes.text"]
unsafe extern "C" fn unregister<K: Kind>(reg: *mut bindings::kprobes_registration) {
    // SAFETY: By the safety requirements, nothing else uses the entry any more, and the probes are
    // registered.
    unsafe { K::unregister(probes_of::<K>(reg)) };
}
