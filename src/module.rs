// SPDX-License-Identifier: GPL-2.0

//! Tells when the code of a module goes, with the probes in it.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use crate::bindings;
use core::ptr;
use kernel::{
    container_of,
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// Callbacks of a [`ModuleWatch`].
pub trait ModuleHandler: Send + Sync + 'static {
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
/// more; never drop one in the handler.
///
/// C functions: `register_module_notifier()`, `unregister_module_notifier()`.
///
/// # Invariants
///
/// `block` is registered until the value is dropped.
#[pin_data(PinnedDrop)]
#[must_use = "a watch that is dropped is unregistered"]
pub struct ModuleWatch<H: ModuleHandler> {
    #[pin]
    block: Opaque<bindings::notifier_block>,
    #[pin]
    handler: H,
}

// SAFETY: A notifier belongs to no task, and `H` is `Send`.
unsafe impl<H: ModuleHandler> Send for ModuleWatch<H> {}
// SAFETY: `&ModuleWatch` gives out nothing, and the kernel calls `H`, which is `Sync`.
unsafe impl<H: ModuleHandler> Sync for ModuleWatch<H> {}

impl<H: ModuleHandler> ModuleWatch<H> {
    /// Behind the kernel's own callback for kprobes, whose priority is 0.
    const PRIORITY: c_int = -1;

    /// Registers `handler`.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// Those of `handler`.
    pub fn new<E>(handler: impl PinInit<H, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        try_pin_init!(Self {
            // The kernel may call the handler before it returns from the registration.
            handler <- handler,
            block <- Opaque::try_ffi_init(|block: *mut bindings::notifier_block| {
                // SAFETY: `block` is memory for a `struct notifier_block`, which stays where it is
                // and is unregistered before it is freed.
                to_result(unsafe {
                    ptr::write_bytes(block, 0, 1);
                    (*block).notifier_call = Some(Self::notify);
                    (*block).priority = Self::PRIORITY;
                    bindings::register_module_notifier(block)
                })
            }),
        })
    }

    /// # Safety
    ///
    /// Only for the `notifier_call` of the `block` of a `ModuleWatch<H>`.
    unsafe extern "C" fn notify(
        block: *mut bindings::notifier_block,
        event: c_ulong,
        _module: *mut c_void,
    ) -> c_int {
        let going = bindings::module_state_MODULE_STATE_GOING as c_ulong;
        let live = bindings::module_state_MODULE_STATE_LIVE as c_ulong;
        if event == going || event == live {
            // SAFETY: By this function's contract `block` lies in a `ModuleWatch<H>`, whose drop
            // waits for this call, and whose `handler` was initialised before the registration.
            let handler = unsafe {
                let block = Opaque::cast_from(block.cast_const()).cast_mut();
                &(*container_of!(block, Self, block)).handler
            };
            handler.gone();
        }
        bindings::NOTIFY_DONE as c_int
    }
}

#[pinned_drop]
impl<H: ModuleHandler> PinnedDrop for ModuleWatch<H> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the block is registered; the function waits for its calls.
        unsafe { bindings::unregister_module_notifier(self.block.get()) };
    }
}
