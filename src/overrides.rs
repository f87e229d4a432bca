// SPDX-License-Identifier: GPL-2.0

//! Overrides: a handler at a function's entry returns in its place.
//!
//! C header: [`include/linux/error-injection.h`](srctree/include/linux/error-injection.h)
//!
//! Context: probed context, preemption disabled, see [`crate::kprobe`].

use crate::common::*;
use crate::kprobe;
use crate::pending::Pending;

probe::kind! {
    /// The kind of an [`Override`].
    Kind(c"override", probe::NO_FUNCTION) = bindings::kprobe, (),
    for<'a> Target<'a> => kprobe::Calls<'a>,
    |O, target, options| kprobe::Calls::diverting(target, options, true, entry::<O>),
    unsafe fn unregister(probes: &[*mut bindings::kprobe]) {
        // SAFETY: By the safety requirements.
        unsafe { Raw::unregister(probes) };
        regs::wait_for_overridden();
    }
}

/// A registered kprobe at the entry of a function whose handler may return from the function, like
/// `bpf_override_return()` and fault injection. The function need not be marked with
/// `ALLOW_ERROR_INJECTION()`. See [`Probe`] for what else it can do.
///
/// If an override returns from a call, probes that were registered earlier at the same address have
/// neither a hit nor a [miss](probe::Registered::missed). If something else, like a live patch,
/// redirects the function at its entry, one of the two takes effect.
///
/// An override of `syscall!("openat")` leaves alone: 32-bit calls on x86-64, unless it is an
/// [`OverrideSet`] of [`syscall!(all "openat")`](crate::syscall); open(2), which does the same;
/// io_uring; the kernel's own calls of what is behind. `security_file_open()` is common to all.
///
/// The kernel never optimises this probe into a jump: the handler of an optimised probe could not
/// redirect execution.
///
/// Dropping it unregisters the probe, and waits for running handlers and, on x86-64, for tasks that
/// are returning from the function. A handler must not drop it.
///
/// C functions: `register_kprobe()`, `override_function_with_return()`, `unregister_kprobe()`,
/// `synchronize_rcu_tasks()`.
pub type Override<H> = probe::Probe<Kind, H>;

/// Overrides of several functions that share a handler. See [`Set`] for what it can do.
pub type OverrideSet<H> = probe::Set<Kind, H>;

/// What [`Handler::entry`] can find out.
pub type Context<'a> = kprobe::Context<'a>;

/// Callbacks of an [`Override`] or an [`OverrideSet`].
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// Called at the entry of the probed function. `None` lets the function run; `Some(result)`
    /// returns `result` to its caller instead.
    ///
    /// Context: probed context, preemption disabled.
    fn entry(&self, cx: &Context<'_>) -> Option<usize>;

    /// As [`kprobe::Handler::unregistered`].
    fn unregistered(&self, _missed: u64) {}
}

impl<H: Handler> Override<H> {
    probe::constructors! {
        /// Registers `handler` at the entry of the function `target`.
        ///
        /// Context: process context; it sleeps.
        ///
        /// Errors: those of [`Kprobe::new`](crate::Kprobe::new), and `EINVAL` if the target is not
        /// the entry of a function.
        ///
        /// # Safety
        ///
        /// Whatever `handler` returns, the callers of the function must work as if the function had
        /// run and returned that. This includes locks, references and memory that the function
        /// acquires or releases, what it writes, and what callers conclude from the result.
        [unsafe] for<'a> Target<'a>, Options, register
    }
}

impl<H: Handler> OverrideSet<H> {
    probe::constructors! {
        /// Registers `handler` at the entries of all of the functions, or at none of them. With
        /// [`Options::partial`](probe::Options::partial), at those that are not refused.
        ///
        /// Context: process context; it sleeps.
        ///
        /// Errors: that of [`Override::new`] for the first target that is refused.
        ///
        /// # Safety
        ///
        /// That of [`Override::new`], for each of the functions.
        [unsafe] for<'a> &'a [Target<'a>], Options, at
    }
}

impl<H: Handler> Pending<Kind, H> {
    probe::constructors! {
        /// Registers `handler` as the `new` of a `Pending` of any other kind does.
        ///
        /// # Safety
        ///
        /// That of [`Override::new`], for each of the functions.
        [unsafe] for<'a> &'a [Target<'a>], Options, at
    }
}

/// # Safety
///
/// To be called only as the `pre_handler` of an override of `O`.
unsafe extern "C" fn entry<O: Owner<bindings::kprobe, Handler: Handler>>(
    kp: *mut bindings::kprobe,
    regs: *mut pt_regs,
) -> c_int {
    // SAFETY: By the safety requirements, `kp` is a probe of `O`; the kernel has passed both.
    let result = unsafe { context::call::<O, _, _, _>(kp, regs, O::Handler::entry) };
    let Some(result) = result else { return 0 };
    // SAFETY: The registers are those at a function's entry, as `kprobe::Calls::settle` checks. By
    // the safety requirements of `Override::new`, the function need not run. Returning 1 tells the
    // kernel that execution was redirected, and `Kind::unregister` waits for it.
    unsafe { regs::override_function(regs, result) };
    1
}
