// SPDX-License-Identifier: GPL-2.0

//! Overrides: a handler at the entry of a function returns to its caller.
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
    |O, target, options| kprobe::Calls::changing_path(target, options, true, entry::<O>),
    unsafe fn unregister(probes: &[*mut bindings::kprobe]) {
        // SAFETY: By the safety requirements, the probes are registered.
        unsafe { Raw::unregister(probes) };
        regs::wait_for_overridden();
    }
}

/// A registered kprobe at the entry of a function, whose handler may return from the function
/// before it runs, like `bpf_override_return()` and fault injection. The function need not be
/// marked with `ALLOW_ERROR_INJECTION()`. See [`Probe`] for its methods.
///
/// If an override returns from a call, probes that were registered earlier at the same address are
/// neither hit nor [missed](probe::Registered::missed). If a live patch, for example, redirects the
/// same function, only one of the two takes effect.
///
/// An override of `syscall!("openat")` affects neither open(2), nor io_uring, nor the kernel's
/// internal calls, nor 32-bit calls on x86-64 (see [`syscall!(all "openat")`](crate::syscall)). All
/// of these call `security_file_open()`.
///
/// The kernel does not optimize this probe, because the handler of an optimized probe cannot change
/// the execution path.
///
/// On x86-64, dropping it also waits for tasks that are returning from the function.
///
/// C functions: `register_kprobe()`, `override_function_with_return()`, `unregister_kprobe()`,
/// `synchronize_rcu_tasks()`.
pub type Override<H> = probe::Probe<Kind, H>;

/// Overrides of several functions that share a handler. See [`Set`] for its methods.
pub type OverrideSet<H> = probe::Set<Kind, H>;

/// The context of [`Handler::entry`].
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
        /// Callers of the function must work as if the function had run and returned the value that
        /// `handler` returns. This includes locks, references and memory that the function acquires
        /// or releases, and all that callers conclude from the value.
        [unsafe] for<'a> Target<'a>, Options, register
    }
}

impl<H: Handler> OverrideSet<H> {
    probe::constructors! {
        /// Registers `handler` at the entries of all of the functions, or of none. With
        /// [`Options::partial`](probe::Options::partial), skips functions that are refused.
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
        /// Registers `handler` like `Pending::new` of the safe kinds.
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
    // SAFETY: By the safety requirements, `kp` is a probe of `O` that is hit with `regs`.
    let result = unsafe { context::call::<O, _, _, _>(kp, regs, O::Handler::entry) };
    let Some(result) = result else { return 0 };
    // SAFETY: By `kprobe::Calls::check`, this is the entry of a function, which need not run by the
    // safety requirements of `Override::new`. The kernel continues at `regs`, because this returns
    // 1. `Kind::unregister` waits for it.
    unsafe { regs::override_function(regs, result) };
    1
}
