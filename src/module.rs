// SPDX-License-Identifier: GPL-2.0

//! Callbacks when a module is loaded or unloaded.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use crate::{
    common::*,
    kernel_ext::may_wait::may_register, //
};

/// Callbacks of a [`ModuleWatch`].
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// Called when the kernel frees the code of a module that is being unloaded, or the init code
    /// of a module that has been initialised.
    ///
    /// Probes in this code are already [gone](crate::probe::Registered::is_gone), and stay gone if
    /// the module is loaded again.
    ///
    /// Context: process context; it may sleep.
    fn gone(&self);

    /// Called when a module is loaded, before its init runs. Watches and
    /// [pending probes](crate::Pending) are called in the order in which they were created.
    ///
    /// Context: process context; it may sleep.
    fn loaded(&self, _module: &CStr) {}
}

/// A registered handler for modules that are loaded and unloaded.
///
/// Dropping it unregisters the handler and waits for it to finish. A drop in the handler of a watch
/// ends in a `BUG()`, like that of a [probe in a handler](crate#where-not-to-drop-a-probe). A watch
/// that is never dropped is unregistered when its module is unloaded, as probes are.
///
/// C functions: `register_module_notifier()`, `unregister_module_notifier()`.
///
/// # Invariants
///
/// `watch` is registered, and on the module's list, until the value is dropped.
#[pin_data(PinnedDrop)]
#[must_use = "dropping the watch unregisters it"]
pub struct ModuleWatch<H: Handler> {
    #[pin]
    watch: Opaque<bindings::kprobes_watch>,
    #[pin]
    handler: H,
}

// SAFETY: Any task may unregister a notifier, and `H` is `Send`.
unsafe impl<H: Handler> Send for ModuleWatch<H> {}
// SAFETY: `&ModuleWatch` gives access only to `&H`, and `H` is `Sync`.
unsafe impl<H: Handler> Sync for ModuleWatch<H> {}

impl<H: Handler> ModuleWatch<H> {
    /// Registers `handler`.
    ///
    /// Context: process context; it sleeps.
    ///
    /// Errors: those of `handler`; `EDEADLK` if the caller must not sleep, in the handler of a
    /// watch, and in a KUnit suite; `EINVAL` if the watch would be on the stack.
    pub fn new<E>(handler: impl PinInit<H, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        try_pin_init!(Self {
            // First: the kernel may call it before the registration returns.
            handler <- handler,
            watch <- Opaque::try_ffi_init(|watch: *mut bindings::kprobes_watch| -> Result {
                may_register(watch)?;
                // SAFETY: `watch` is valid for writes, and all zeroes is a valid value.
                unsafe {
                    ptr::write_bytes(watch, 0, 1);
                    (*watch).call = Some(Self::call);
                }
                // SAFETY: `watch` is initialised and pinned, and is unregistered when dropped.
                // INVARIANT: This also adds it to the list.
                to_result(unsafe { bindings::kprobes_watch_register(watch) })
            }),
        })
    }

    /// Returns the handler.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// # Safety
    ///
    /// To be called only as the `call` of the `watch` of a `ModuleWatch<H>`.
    unsafe extern "C" fn call(watch: *mut bindings::kprobes_watch, loaded: *const c_char) {
        let watch = Opaque::cast_from(watch.cast_const()).cast_mut();
        // SAFETY: By the safety requirements, `watch` is a field of a `ModuleWatch<H>`.
        let this = unsafe { container_of!(watch, Self, watch) };
        // SAFETY: `handler` is initialised first, and dropping the watch waits for this call.
        let handler = unsafe { &(*this).handler };
        match loaded.is_null() {
            true => handler.gone(),
            // SAFETY: `loaded` is the name of a module, a C string.
            false => handler.loaded(unsafe { CStr::from_char_ptr(loaded) }),
        }
    }
}

#[pinned_drop]
impl<H: Handler> PinnedDrop for ModuleWatch<H> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant, `watch` is registered, and only this call unregisters it.
        unsafe { bindings::kprobes_drop_watch(self.watch.get()) };
    }
}
