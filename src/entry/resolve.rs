// SPDX-License-Identifier: GPL-2.0

//! Finds the ftrace call of a function.

use crate::common::*;

/// Disabled kprobes, whose registration resolves and checks targets. They are unregistered in one
/// grace period.
///
/// # Invariants
///
/// `kprobes` is not resized, and `registered` points at its registered elements.
pub(super) struct Resolver {
    kprobes: KVVec<bindings::kprobe>,
    registered: KVVec<*mut bindings::kprobe>,
}

impl Resolver {
    #[inline]
    pub(super) fn new(count: usize) -> Result<Self> {
        Ok(Self {
            kprobes: KVVec::with_capacity(count, GFP_KERNEL)?,
            registered: KVVec::with_capacity(count, GFP_KERNEL)?,
        })
    }

    /// Returns the address of the ftrace call in the function `target`.
    #[inline]
    pub(super) fn resolve(&mut self, target: Target<'_>) -> Result<usize> {
        if target.offset != 0 {
            return Err(EINVAL);
        }
        let mut empty = bindings::kprobe::default();
        target.fill(&mut empty);
        empty.flags = bindings::KPROBE_FLAG_DISABLED;
        self.kprobes
            .push_within_capacity(empty)
            .map_err(|_| ENOMEM)?;
        let kp = self.kprobes.last_mut().map(ptr::from_mut).ok_or(ENOMEM)?;
        // SAFETY: `kp` is filled in, has no callbacks, and does not move until it is unregistered.
        to_result(unsafe { bindings::register_kprobe(kp) })?;
        // This has the same capacity as `kprobes`. INVARIANT: `kp` is registered.
        let _ = self.registered.push_within_capacity(kp);
        // The name is borrowed for this call.
        //
        // SAFETY: `kp` is valid, and no other code writes this field.
        unsafe { (*kp).symbol_name = ptr::null() };
        let mut ip = 0;
        // SAFETY: `kp` is registered.
        to_result(unsafe { bindings::kprobes_entry_location(kp, &raw mut ip) })?;
        Ok(ip)
    }
}

impl Drop for Resolver {
    #[inline]
    fn drop(&mut self) {
        let count = self.registered.len() as c_uint;
        // SAFETY: By the type invariant, these are registered.
        unsafe { bindings::kprobes_unregister(self.registered.as_mut_ptr().cast(), count, false) };
    }
}
