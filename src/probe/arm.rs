// SPDX-License-Identifier: GPL-2.0

//! What an event with listeners enables: a probe or a set.

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

/// What an [event](crate::event::Armed) can arm: probes, sets of probes, and
/// [`Armed`](crate::event::Armed) itself, for several events.
///
/// # Safety
///
/// `registration()` must point at an entry of the module's list of registrations, which is on the
/// list until this is dropped, and which `ARM` can enable and disable.
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
/// To be called, under the lock of the events, with the probes of an entry of the module's list,
/// from a context that may sleep.
unsafe extern "C" fn arm<K: Kind>(probes: *const *mut c_void, count: c_uint, on: bool) -> c_int {
    // SAFETY: By the safety requirements. They are registered as long as they are on the list.
    let done = unsafe { K::Raw::arm(slice::from_raw_parts(probes.cast(), count as usize), on) };
    done.map_or_else(Error::to_errno, |()| 0)
}

macro_rules! impl_arm {
    ($($type:ident),*) => {
        $(
            // SAFETY: By the type invariant, it is on the list until it is dropped.
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
