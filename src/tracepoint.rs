// SPDX-License-Identifier: GPL-2.0

//! Handlers of the kernel's tracepoints.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)
//!
//! Context: that of the tracepoint, which may be an interrupt. Handlers must not
//! sleep. They may run on several CPUs at once.

use crate::{
    args::FromWords,
    bindings,
    context::{
        Context,
        Trace, //
    },
    event::{
        Arm,
        ArmCall, //
    },
    registration::may_register,
    regs::{
        self,
        Entry, //
    }, //
};
use core::{
    ffi::CStr,
    ptr,
    sync::atomic::{
        AtomicUsize,
        Ordering, //
    }, //
};
use kernel::{
    container_of,
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// Callbacks of a [`Tracepoint`].
pub trait Handler: Send + Sync + 'static {
    /// The types of the tracepoint's first arguments, up to five, as a tuple. See
    /// `TP_PROTO()` in `include/trace/events/*.h`.
    ///
    /// Those of `signal_generate`, for example, are `(i32, KernelPtr, KernelPtr,
    /// i32, i32)`: `TP_PROTO(int sig, struct kernel_siginfo *info, struct
    /// task_struct *task, int group, int result)`. With a wrong type, the value is
    /// meaningless, but this is still safe: pointers cannot be dereferenced.
    type Args: FromWords;

    /// Called at the tracepoint, except within the handler of a tracepoint, see
    /// [`Tracepoint::missed`].
    ///
    /// Context: that of the tracepoint; it must not sleep. It may be preempted and
    /// migrated.
    fn hit(&self, cx: &Context<'_, Trace>, args: Self::Args);

    /// Called once, after the handler is unregistered and has finished on all
    /// CPUs, with the final [`Tracepoint::missed`]. Use it to report totals.
    ///
    /// Context: process context, in the drop; it may sleep.
    fn unregistered(&self, missed: usize) {
        let _ = missed;
    }
}

/// A registered handler of a tracepoint.
///
/// Dropping it unregisters the handler and waits for it to finish, so it must not
/// be dropped in a handler.
///
/// C functions: `tracepoint_probe_register()`,
/// `tracepoint_probe_unregister()`, `tracepoint_synchronize_unregister()`.
///
/// # Invariants
///
/// `tp` is registered, and on the module's list, until the value is dropped. Its
/// `tracepoint` is a static of the kernel, its `hit` is `hit::<H>`.
#[pin_data(PinnedDrop)]
#[must_use = "dropping the handler unregisters it"]
pub struct Tracepoint<H: Handler> {
    #[pin]
    tp: Opaque<bindings::kprobes_tracepoint>,
    #[pin]
    handler: H,
}

// SAFETY: A tracepoint belongs to no task, and `H` is `Send`.
unsafe impl<H: Handler> Send for Tracepoint<H> {}
// SAFETY: `&Tracepoint` gives out `&H`, which is `Sync`, and a counter.
unsafe impl<H: Handler> Sync for Tracepoint<H> {}

impl<H: Handler> Tracepoint<H> {
    /// Registers `handler` at the tracepoint `name`, which must be built into the
    /// kernel, not into a module.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// - `ENOENT`: no such tracepoint;
    /// - `EOPNOTSUPP`: the kernel lacks `CONFIG_TRACING`, or has `CONFIG_CFI`, with which a
    ///   tracepoint requires the exact prototype;
    /// - `ENOMEM`;
    /// - `EDEADLK`: the caller must not sleep, see [`Kprobe::new`](crate::Kprobe::new).
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
        try_pin_init!(Self {
            // The kernel may call the handler before it returns from the registration, so the
            // handler comes first.
            handler <- handler,
            tp <- Opaque::try_ffi_init(move |tp: *mut bindings::kprobes_tracepoint| {
                if cfg!(CONFIG_CFI) {
                    return Err(Error::from_errno(-(bindings::EOPNOTSUPP as c_int)));
                }
                may_register(tp)?;
                let tracepoint = find(name).ok_or(ENOENT)?;
                // SAFETY: `tp` is valid for writing and pinned; all zeroes is a value of it. The
                // registration calls `hit::<H>` with `tp`, which lies beside a handler that is
                // initialised. `drop` takes it off the list first.
                unsafe {
                    ptr::write_bytes(tp, 0, 1);
                    (*tp).reg.leave = Some(bindings::kprobes_leave_tracepoint);
                    (*tp).tracepoint = tracepoint;
                    (*tp).hit = Some(hit::<H>);
                    to_result(bindings::kprobes_tracepoint_register(tp))?;
                    bindings::kprobes_enter(&raw mut (*tp).reg);
                }
                Ok(())
            }),
        })
    }

    /// Returns how many hits the handler was not called for: those within a handler
    /// of this or another tracepoint, in the same context of the same task. For
    /// example, a handler of `kmalloc` that allocates misses its own allocation.
    ///
    /// The handler is called for a hit in an interrupt, softirq or NMI that
    /// interrupts a handler.
    pub fn missed(&self) -> usize {
        // SAFETY: `tp` is valid; others add to the counter meanwhile, hence volatile.
        unsafe { ptr::read_volatile((&raw const (*self.tp.get()).missed).cast()) }
    }

    /// Returns the handler.
    #[inline]
    pub fn handler(&self) -> &H {
        &self.handler
    }
}

// SAFETY: It is on the list until it is dropped.
unsafe impl<H: Handler> Arm for Tracepoint<H> {
    const ARM: ArmCall = bindings::kprobes_arm_tracepoint;

    #[inline]
    fn registration(&self) -> *mut bindings::kprobes_registration {
        // SAFETY: This only computes the address of a field.
        unsafe { &raw mut (*self.tp.get()).reg }
    }
}

#[pinned_drop]
impl<H: Handler> PinnedDrop for Tracepoint<H> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is registered and on the list, and this is the only
        // place that takes it off. The handler does not run after it.
        unsafe { bindings::kprobes_leave(&raw mut (*self.tp.get()).reg) };
        self.handler.unregistered(self.missed());
    }
}

/// The word of the current task that remembers, for each context, that a handler
/// runs, and the first bit of it that is for that.
const AT: usize = bindings::KPROBES_TASK_TRACE_RECURSION;
const BIT: u32 = bindings::KPROBES_IN_TRACEPOINT_BIT;

/// The callback of the tracepoint. Arguments that it does not have are whatever
/// the CPU registers hold.
///
/// The kernel calls a handler wherever the tracepoint is passed, within handlers
/// too. So it is not called where one runs already, of this or another module, in
/// the same context of the same task: a hit in an interrupt of a handler is none
/// within it. The handler may be preempted, so its task has to remember, as it
/// does for ftrace.
///
/// # Safety
///
/// `tp` must be the field of a `Tracepoint<H>` that outlives the call.
#[inline]
unsafe extern "C" fn hit<H: Handler>(
    tp: *mut bindings::kprobes_tracepoint,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
) {
    // SAFETY: `task_struct` has `trace_recursion` there, whose bits from `BIT` on are ours; the
    // tracepoint and the bit by the safety requirements.
    unsafe {
        match regs::enter_in_task::<AT, BIT>(regs::current()) {
            Entry::Entered => {
                run::<H>(tp, [a, b, c, d, e]);
                regs::leave_in_task::<AT, BIT>(regs::current());
            }
            Entry::Within => miss(tp),
            Entry::Interrupt => hit_in_interrupt::<H>(tp, a, b, c, d, e),
        }
    }
}

/// [`hit`], where an interrupt, a softirq or an NMI is served.
///
/// # Safety
///
/// That of [`hit`].
#[cold]
#[inline(never)]
unsafe extern "C" fn hit_in_interrupt<H: Handler>(
    tp: *mut bindings::kprobes_tracepoint,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
) {
    // SAFETY: `task_struct` has `trace_recursion` there, whose bits from `BIT` on are ours; `tp` by
    // this function's contract.
    unsafe {
        let task = regs::current();
        let Some(bits) = regs::enter_in_interrupt(task, AT, BIT) else {
            return miss(tp);
        };
        run::<H>(tp, [a, b, c, d, e]);
        regs::leave_in_interrupt(task, AT, bits);
    }
}

/// Calls the handler.
///
/// # Safety
///
/// `tp` must be the field of a `Tracepoint<H>` that outlives the call.
#[inline(always)]
unsafe fn run<H: Handler>(tp: *mut bindings::kprobes_tracepoint, args: [usize; 5]) {
    // SAFETY: By the safety requirements, `tp` is a field of a `Tracepoint<H>`, whose handler was
    // initialised before the registration. Only the handler is borrowed.
    let handler = unsafe {
        let tp = Opaque::cast_from(tp.cast_const()).cast_mut();
        &(*container_of!(tp, Tracepoint<H>, tp)).handler
    };
    let args = H::Args::from_words(|n| args.get(n).copied().unwrap_or(0));
    handler.hit(&Context::trace(), args);
}

/// Counts a hit for which the handler is not called.
///
/// # Safety
///
/// `tp` must be valid.
#[inline(always)]
unsafe fn miss(tp: *mut bindings::kprobes_tracepoint) {
    // SAFETY: By the safety requirements, `tp` is valid; all accesses of the counter are atomic.
    let missed = unsafe { AtomicUsize::from_ptr((&raw mut (*tp).missed).cast()) };
    missed.fetch_add(1, Ordering::Relaxed);
}

/// Returns the tracepoint of that name.
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
        // SAFETY: By the safety requirements, both pointers are valid; the name is a C string.
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
    // SAFETY: The function passes its tracepoints to `visit`, with this pointer, one after the
    // other before it returns.
    unsafe { bindings::for_each_kernel_tracepoint(Some(visit), (&raw mut search).cast()) };
    (!search.found.is_null()).then_some(search.found)
}
