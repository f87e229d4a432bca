// SPDX-License-Identifier: GPL-2.0

//! Probes and sets that are enabled while an event has listeners.

use super::{
    Handles,
    Kind,
    Probe,
    Raw,
    Set, //
};
use crate::prelude::*;

/// Enables or disables the probes of a registration.
#[doc(hidden)]
pub type ArmCall = unsafe extern "C" fn(*const *mut c_void, c_uint, bool) -> c_int;

/// A probe or set that an [`Armed`](crate::event::Armed) enables while its event has listeners.
/// `Armed` implements this, too, so that several events can share a probe.
///
/// # Safety
///
/// `registration()` must point at an entry of the module's list of registrations, which stays on
/// the list until the value is dropped, and whose probes `ARM` can enable and disable.
pub unsafe trait Arm {
    #[doc(hidden)]
    const ARM: ArmCall;

    #[doc(hidden)]
    fn registration(&self) -> *mut bindings::kprobes_registration;
}

/// The [`ArmCall`] of probes of the kind `K`.
///
/// # Safety
///
/// To be called from a context that may sleep, under the lock of the events, with the probes of an
/// entry of the module's list.
unsafe extern "C" fn arm<K: Kind>(probes: *const *mut c_void, count: c_uint, on: bool) -> c_int {
    // SAFETY: By the safety requirements, the probes are on the list, so they are registered.
    let done = unsafe { K::Raw::arm(slice::from_raw_parts(probes.cast(), count as usize), on) };
    done.map_or_else(Error::to_errno, |()| 0)
}

macro_rules! impl_arm {
    ($($type:ident),*) => {
        $(
            // SAFETY: By the type invariant, `entry` is on the list until the value is dropped.
            unsafe impl<K: Kind, H: Handles<K>> Arm for $type<K, H> {
                const ARM: ArmCall = arm::<K>;

                fn registration(&self) -> *mut bindings::kprobes_registration {
                    self.entry.reg.get()
                }
            }
        )*
    };
}

impl_arm!(Probe, Set);
