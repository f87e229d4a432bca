// SPDX-License-Identifier: GPL-2.0

//! Probes that are enabled while an event has a listener.

use super::Event;
use crate::common::*;

/// A probe, or a set, that is enabled while an event of [`trace_event!`](crate::trace_event) has a
/// listener. `Armed<Armed<P>>` is enabled while one of two events has a listener.
///
/// After the last listener has detached, a handler may still be running.
///
/// Creating an `Armed` disables the probe if there is no listener. Register the probe
/// [disabled](crate::probe::Options::disabled) to have no hits before that.
///
/// # Invariants
///
/// `binding` is on the list of its event until this is dropped.
#[pin_data(PinnedDrop)]
#[must_use = "dropping the probe unregisters it"]
pub struct Armed<P: Arm> {
    #[pin]
    binding: Opaque<bindings::kprobes_binding>,
    #[pin]
    probe: P,
}

// SAFETY: C locks the binding, and `P` is `Send`.
unsafe impl<P: Arm + Send> Send for Armed<P> {}
// SAFETY: `&Armed` gives access to `&P`, which is `Sync`.
unsafe impl<P: Arm + Sync> Sync for Armed<P> {}

impl<P: Arm> Armed<P> {
    /// Creates the probe and binds it to `event`.
    ///
    /// Context: process context; it sleeps.
    ///
    /// Errors: those of creating the probe and, if there is a listener, of enabling it; `EDEADLK`
    /// if the caller must not sleep; `ENODEV` after the module's exit; `EOPNOTSUPP` if the kernel
    /// lacks `CONFIG_EVENT_TRACING`, or the module was loaded by force.
    pub fn new<E: From<Error>>(
        event: &'static Event,
        probe: impl PinInit<P, E>,
    ) -> impl PinInit<Self, E> {
        try_pin_init!(&this in Self {
            probe <- probe,
            binding <- Opaque::try_ffi_init(move |binding: *mut bindings::kprobes_binding| {
                // SAFETY: `probe` is initialised.
                let reg = unsafe { (*this.as_ptr()).probe.registration() };
                // SAFETY: `binding` is valid for writing.
                unsafe {
                    binding.write(bindings::kprobes_binding {
                        event: event.0.get(),
                        reg,
                        arm: Some(P::ARM),
                        counted: false,
                        next: ptr::null_mut(),
                    });
                }
                // SAFETY: `binding` is initialised and pinned, and is unbound before the probe is
                // dropped. INVARIANT: This adds it to the list.
                to_result(unsafe { bindings::kprobes_event_bind(binding) })
            }),
        }? E)
    }

    /// Returns the probe, or the set.
    #[inline(always)]
    pub fn probe(&self) -> &P {
        &self.probe
    }
}

// SAFETY: `P` meets the safety requirements with the same registration.
unsafe impl<P: Arm> Arm for Armed<P> {
    const ARM: ArmCall = P::ARM;

    #[inline]
    fn registration(&self) -> *mut bindings::kprobes_registration {
        self.probe.registration()
    }
}

#[pinned_drop]
impl<P: Arm> PinnedDrop for Armed<P> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant, `binding` is on the list. Only this call removes it.
        unsafe { bindings::kprobes_event_unbind(self.binding.get()) };
    }
}
