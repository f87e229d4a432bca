// SPDX-License-Identifier: GPL-2.0

//! Handlers at the kernel's own tracepoints, by name.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)
//!
//! Handlers run in the context that the tracepoint is in, which may be an
//! interrupt: they must not sleep. They may run on several CPUs at once.

use crate::{
    args::FromRegisters,
    bindings,
    context::{
        Context,
        Trace, //
    }, //
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    ptr, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// What runs at a [`Tracepoint`].
pub trait TracepointHandler: Send + Sync + 'static {
    /// The types of the tracepoint's first arguments, up to five, as a tuple.
    ///
    /// Those of `signal_generate` are `(i32, KernelPtr, KernelPtr, i32, i32)`:
    /// `TP_PROTO(int sig, struct kernel_siginfo *info, struct task_struct
    /// *task, int group, int result)`. They stand in
    /// `include/trace/events/*.h`. A type that is not the tracepoint's gives a
    /// value without meaning, and no more: pointers are of types that cannot be
    /// dereferenced.
    type Args: FromRegisters;

    /// Runs when the tracepoint is passed.
    ///
    /// Context: that of the tracepoint; it must not sleep. Preemption may be
    /// on, so the CPU may change.
    fn hit(&self, cx: &Context<'_, Trace>, args: Self::Args);

    /// Runs once, when the handler is unregistered and does not run any more.
    ///
    /// Context: that of the drop, process context; it may sleep.
    fn unregistered(&self) {}
}

/// A handler that is registered at a tracepoint.
///
/// Dropping it unregisters the handler and waits until it does not run any
/// more; never drop one in a handler.
///
/// Since Linux 7.2. C functions: `tracepoint_probe_register()`,
/// `tracepoint_probe_unregister()`, `tracepoint_synchronize_unregister()`.
///
/// # Invariants
///
/// `callback::<H>` is registered at `tracepoint` with a pointer to `handler`,
/// until the value is dropped. `tracepoint` is a static of the kernel's.
#[pin_data(PinnedDrop)]
#[must_use = "a tracepoint handler that is dropped is unregistered"]
pub struct Tracepoint<H: TracepointHandler> {
    #[pin]
    handler: H,
    tracepoint: *mut bindings::tracepoint,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: A tracepoint belongs to no task, and `H` is `Send`.
unsafe impl<H: TracepointHandler> Send for Tracepoint<H> {}
// SAFETY: `&Tracepoint` gives out `&H`, which is `Sync`, and nothing else.
unsafe impl<H: TracepointHandler> Sync for Tracepoint<H> {}

impl<H: TracepointHandler> Tracepoint<H> {
    /// Registers `handler` at the tracepoint `name`, of those that are built
    /// into the kernel.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// - `ENOENT`: no such tracepoint;
    /// - `EOPNOTSUPP`: a kernel with `CONFIG_CFI`, which lets a tracepoint call only functions of
    ///   just its own type;
    /// - `ENOMEM`.
    #[inline]
    pub fn new<'a, E: 'a>(
        name: &'a CStr,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        const {
            assert!(
                H::Args::COUNT <= 5,
                "a tracepoint's first five arguments at most"
            )
        };
        try_pin_init!(&this in Self {
            // The kernel may call the handler before it returns from the registration, so the
            // handler comes first.
            handler <- handler,
            tracepoint: {
                if cfg!(CONFIG_CFI) {
                    return Err(Error::from_errno(-(bindings::EOPNOTSUPP as c_int)));
                }
                let tracepoint = find(name).ok_or(ENOENT)?;
                // SAFETY: `tracepoint` is one of the kernel's. It calls `callback::<H>` with the
                // pointer that is given, to a handler that is initialised, pinned, and outlives
                // the registration.
                to_result(unsafe {
                    bindings::tracepoint_probe_register(
                        tracepoint,
                        callback::<H> as *mut c_void,
                        (&raw const (*this.as_ptr()).handler).cast_mut().cast(),
                    )
                })?;
                tracepoint
            },
            _pin: PhantomPinned,
        })
    }

    /// The handler, and whatever state it keeps.
    #[inline]
    pub fn handler(&self) -> &H {
        &self.handler
    }
}

#[pinned_drop]
impl<H: TracepointHandler> PinnedDrop for Tracepoint<H> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant that is what is registered, and this is the only place
        // that unregisters it. The second call waits until no CPU is in the callback.
        unsafe {
            bindings::tracepoint_probe_unregister(
                self.tracepoint,
                callback::<H> as *mut c_void,
                ptr::from_ref(&self.handler).cast_mut().cast(),
            );
            bindings::kprobes_tracepoint_synchronize_unregister();
        }
        self.handler.unregistered();
    }
}

/// What the tracepoint calls: with the registered pointer, and then with its
/// own arguments. Those that it does not have are what the registers hold.
///
/// # Safety
///
/// `data` must point at an `H` that outlives the call.
#[inline]
unsafe extern "C" fn callback<H: TracepointHandler>(
    data: *mut c_void,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
) {
    // SAFETY: By this function's contract.
    let handler = unsafe { &*data.cast::<H>() };
    let args = H::Args::from_registers(|n| [a, b, c, d, e].get(n).copied().unwrap_or(0));
    handler.hit(&Context::trace(), args);
}

/// The tracepoint of that name.
#[inline]
fn find(name: &CStr) -> Option<*mut bindings::tracepoint> {
    struct Search<'a> {
        name: &'a CStr,
        found: *mut bindings::tracepoint,
    }

    /// # Safety
    ///
    /// `tracepoint` must be a tracepoint, and `search` point at a [`Search`]
    /// that nobody else uses.
    #[inline]
    unsafe extern "C" fn visit(tracepoint: *mut bindings::tracepoint, search: *mut c_void) {
        // SAFETY: By this function's contract; the name of a tracepoint is a C string.
        unsafe {
            let search = &mut *search.cast::<Search<'_>>();
            if CStr::from_char_ptr((*tracepoint).name) == search.name {
                search.found = tracepoint;
            }
        }
    }

    let mut search = Search {
        name,
        found: ptr::null_mut(),
    };
    // SAFETY: The function passes its tracepoints to `visit`, with this pointer, one after the other
    // before it returns.
    unsafe { bindings::for_each_kernel_tracepoint(Some(visit), (&raw mut search).cast()) };
    (!search.found.is_null()).then_some(search.found)
}
