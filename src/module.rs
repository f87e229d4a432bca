// SPDX-License-Identifier: GPL-2.0

//! Tells when the code of a module goes, with the probes in it.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use crate::{
    bindings,
    kernel_ext::may_wait::may_wait, //
};
use core::ptr;
use kernel::{
    container_of,
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// Callbacks of a [`ModuleWatch`].
pub trait Handler: Send + Sync + 'static {
    /// Runs when a module is about to go, or its initialisation is done and the
    /// code of that goes: the probes in there are
    /// [gone](crate::Probe::is_gone) already, for ever, also where a module of
    /// that name comes again.
    ///
    /// Context: process context; it may sleep.
    fn gone(&self);
}

/// A registered handler of modules that go.
///
/// Dropping it unregisters the handler and waits until it does not run any
/// more. In the handler of one it cannot: it stops there, as a probe that is
/// [dropped in a handler](crate#where-not-to-drop-one). One that is never dropped
/// is unregistered at the end of the module, as probes are.
///
/// C functions: `register_module_notifier()`, `unregister_module_notifier()`.
///
/// # Invariants
///
/// `watch` is registered, and on the module's list of what is, until the value is
/// dropped.
#[pin_data(PinnedDrop)]
#[must_use = "a watch that is dropped is unregistered"]
pub struct ModuleWatch<H: Handler> {
    #[pin]
    watch: Opaque<bindings::kprobes_watch>,
    #[pin]
    handler: H,
}

// SAFETY: A notifier belongs to no task, and `H` is `Send`.
unsafe impl<H: Handler> Send for ModuleWatch<H> {}
// SAFETY: `&ModuleWatch` gives out nothing, and the kernel calls `H`, which is `Sync`.
unsafe impl<H: Handler> Sync for ModuleWatch<H> {}

impl<H: Handler> ModuleWatch<H> {
    /// Registers `handler`.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// Those of `handler`, and `EDEADLK` where one must not wait, or in the handler of a watch.
    pub fn new<E>(handler: impl PinInit<H, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        try_pin_init!(Self {
            // The kernel may call the handler before it returns from the registration.
            handler <- handler,
            watch <- Opaque::try_ffi_init(|watch: *mut bindings::kprobes_watch| -> Result {
                may_wait()?;
                // SAFETY: `watch` is valid for writing and pinned; all zeroes is a value of it. It is
                // unregistered before it is freed, and `drop` takes it off the list first.
                unsafe {
                    ptr::write_bytes(watch, 0, 1);
                    (*watch).reg.leave = Some(bindings::kprobes_leave_watch);
                    (*watch).reg.first = true;
                    (*watch).gone = Some(Self::gone);
                    to_result(bindings::kprobes_watch_register(watch))?;
                    bindings::kprobes_enter(&raw mut (*watch).reg);
                }
                Ok(())
            }),
        })
    }

    /// # Safety
    ///
    /// Only for the `gone` of the `watch` of a `ModuleWatch<H>`.
    unsafe extern "C" fn gone(watch: *mut bindings::kprobes_watch) {
        // SAFETY: By this function's contract `watch` lies in a `ModuleWatch<H>`, whose drop waits
        // for this call, and whose `handler` was initialised before the registration.
        let handler = unsafe {
            let watch = Opaque::cast_from(watch.cast_const()).cast_mut();
            &(*container_of!(watch, Self, watch)).handler
        };
        handler.gone();
    }
}

#[pinned_drop]
impl<H: Handler> PinnedDrop for ModuleWatch<H> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is registered and on the list, and this is the only
        // place that takes it off. The handler does not run after it.
        unsafe { bindings::kprobes_drop_watch(self.watch.get()) };
    }
}
