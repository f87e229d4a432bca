// SPDX-License-Identifier: GPL-2.0

//! Probes that are enabled while somebody listens to an event.

use super::Event;
use crate::bindings;
use core::ops::Deref;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// `kprobes_arm_*()` in C.
#[doc(hidden)]
pub type ArmCall = unsafe extern "C" fn(*mut bindings::kprobes_registration, bool) -> c_int;

/// What an event can arm: probes, sets of probes, and [`Armed`] itself, for several
/// events.
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

/// An event that can arm.
///
/// # Safety
///
/// `event()` must point at an event that is there as long as this is.
pub unsafe trait Source {
    #[doc(hidden)]
    fn event(&self) -> *mut bindings::kprobes_event;
}

// SAFETY: It is a static.
unsafe impl Source for &'static Event {
    #[inline]
    fn event(&self) -> *mut bindings::kprobes_event {
        self.0.get()
    }
}

/// A probe, or a set, that is enabled while somebody listens to an event: to one of
/// [`trace_event!`](crate::trace_event), or to a [`Dynamic`](super::Dynamic), which this holds.
///
/// The first who listens enables it, the last one disables it; if several events arm
/// it, the last one of all. Where enabling fails, so does the write to `enable`, or
/// `perf_event_open()`, with that error. A trigger is not refused, because the kernel cannot
/// take one back; a line is logged, and the next who listens tries it again. A handler may still
/// be running when the last one has left.
///
/// If nobody listens when it is made, it is disabled. Name its target with
/// [`Target::disabled`](crate::Target::disabled), so that it is not enabled before. The
/// functions of [`EntrySet::matching`](crate::EntrySet::matching) are.
///
/// It dereferences to the probe.
///
/// # Invariants
///
/// `binding` is on the list of its event until the value is dropped.
#[pin_data(PinnedDrop)]
#[must_use = "dropping the probe unregisters it"]
pub struct Armed<P: Arm, S: Source = &'static Event> {
    #[pin]
    binding: Opaque<bindings::kprobes_binding>,
    #[pin]
    probe: P,
    // Dropped last.
    event: S,
}

// SAFETY: C locks the binding, and `P` is `Send`.
unsafe impl<P: Arm + Send, S: Source + Send> Send for Armed<P, S> {}
// SAFETY: `&Armed` gives access to `&P`, which is `Sync`.
unsafe impl<P: Arm + Sync, S: Source + Sync> Sync for Armed<P, S> {}

impl<P: Arm, S: Source> Armed<P, S> {
    /// Makes the probe, and has it enabled while somebody listens to `event`.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// Those of the probe; that of enabling it, if somebody listens already; and `EOPNOTSUPP` if
    /// the kernel has not created the event, because it lacks `CONFIG_EVENT_TRACING`, or because
    /// the module was loaded by force.
    pub fn by<E: From<Error>>(event: S, probe: impl PinInit<P, E>) -> impl PinInit<Self, E> {
        let source = event.event();
        try_pin_init!(&this in Self {
            event,
            probe <- probe,
            // SAFETY: `probe` is initialised, and pinned; `event` holds `source`.
            binding <- unsafe { Self::bind(source, &raw const (*this.as_ptr()).probe) },
        }? E)
    }

    /// # Safety
    ///
    /// `probe` must be initialised, and not dropped before the binding is taken off the event's
    /// list. Nor must `event` go before.
    unsafe fn bind<E: From<Error>>(
        event: *mut bindings::kprobes_event,
        probe: *const P,
    ) -> impl PinInit<Opaque<bindings::kprobes_binding>, E> {
        Opaque::try_ffi_init(move |binding: *mut bindings::kprobes_binding| {
            // SAFETY: `binding` is valid for writing, and `probe` is initialised.
            unsafe {
                binding.write(bindings::kprobes_binding {
                    event,
                    reg: (*probe).registration(),
                    arm: Some(P::ARM),
                    wanted: false,
                    next: core::ptr::null_mut(),
                });
            }
            // SAFETY: `binding` is initialised and pinned, and is taken off the list before the
            // probe is dropped. INVARIANT: This puts it on the list.
            to_result(unsafe { bindings::kprobes_event_bind(binding) })?;
            Ok(())
        })
    }
}

// SAFETY: By the safety requirements of `P`.
unsafe impl<P: Arm, S: Source> Arm for Armed<P, S> {
    const ARM: ArmCall = P::ARM;

    #[inline]
    fn registration(&self) -> *mut bindings::kprobes_registration {
        self.probe.registration()
    }
}

impl<P: Arm, S: Source> Deref for Armed<P, S> {
    type Target = P;

    #[inline(always)]
    fn deref(&self) -> &P {
        &self.probe
    }
}

#[pinned_drop]
impl<P: Arm, S: Source> PinnedDrop for Armed<P, S> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant, it is on the list, and only this call takes it off. The
        // probe is dropped after this.
        unsafe { bindings::kprobes_event_unbind(self.binding.get()) };
    }
}
