// SPDX-License-Identifier: GPL-2.0

//! Redirects: a handler at an instruction changes the execution path.
//!
//! C documentation: "Changing Execution Path" in `Documentation/trace/kprobes.rst`.
//!
//! Context: probed context, preemption disabled, see [`crate::kprobe`].

use crate::common::*;
use crate::kprobe;
use crate::pending::Pending;

probe::kind! {
    /// The kind of a [`Redirect`].
    Kind(c"redirect", probe::NO_PLACE) = bindings::kprobe, (),
    for<'a> Target<'a> => kprobe::Calls<'a>,
    |O, target, options| kprobe::Calls::changing_path(target, options, false, pre::<O>)
}

/// A registered kprobe whose handler may make the probed code continue at another instruction. See
/// [`Probe`] for its methods.
///
/// If the handler returns an address, probes that were registered earlier at the same target are
/// neither hit nor [missed](probe::Registered::missed). If a live patch, for example, redirects the
/// same function at its entry, only one of the two takes effect.
///
/// The kernel does not optimize this probe, because the handler of an optimized probe cannot change
/// the execution path.
///
/// C functions: `register_kprobe()`, `instruction_pointer_set()`, `unregister_kprobe()`.
pub type Redirect<H> = probe::Probe<Kind, H>;

/// Redirects at several targets that share a handler. See [`Set`] for its methods.
pub type RedirectSet<H> = probe::Set<Kind, H>;

/// The context of [`Handler::pre`].
pub type Context<'a> = kprobe::Context<'a>;

/// Callbacks of a [`Redirect`] or a [`RedirectSet`].
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// Called before the probed instruction. `None` runs it; `Some(address)` continues at `address`
    /// instead. [`next_instruction`](crate::Context::next_instruction) skips the instruction.
    ///
    /// Context: probed context, preemption disabled.
    fn pre(&self, cx: &Context<'_>) -> Option<Address>;

    /// As [`kprobe::Handler::unregistered`].
    fn unregistered(&self, _missed: u64) {}
}

impl<H: Handler> Redirect<H> {
    probe::constructors! {
        /// Registers `handler` at `target`.
        ///
        /// Context: process context; it sleeps.
        ///
        /// Errors: those of [`Kprobe::new`](crate::Kprobe::new).
        ///
        /// # Safety
        ///
        /// Each address that `handler` returns must be that of a kernel instruction, until the
        /// probe is dropped. The probed code must be able to continue there with its current CPU
        /// registers and stack, and without the effects of the skipped instructions.
        [unsafe] for<'a> Target<'a>, Options, register
    }
}

impl<H: Handler> RedirectSet<H> {
    probe::constructors! {
        /// Registers `handler` at all of the targets, or at none. With
        /// [`Options::partial`](probe::Options::partial), skips targets that are refused.
        ///
        /// Context: process context; it sleeps.
        ///
        /// Errors: that of [`Redirect::new`] for the first target that is refused.
        ///
        /// # Safety
        ///
        /// That of [`Redirect::new`], for each of the targets.
        [unsafe] for<'a> &'a [Target<'a>], Options, at
    }
}

impl<H: Handler> Pending<Kind, H> {
    probe::constructors! {
        /// Registers `handler` like `Pending::new` of the safe kinds.
        ///
        /// # Safety
        ///
        /// That of [`Redirect::new`], for each of the targets.
        [unsafe] for<'a> &'a [Target<'a>], Options, at
    }
}

impl Context<'_> {
    /// Returns the address of the instruction after the probed one.
    #[inline]
    pub fn next_instruction(&self) -> Address {
        let kp = self.hit.kprobe();
        Address::new(self.hit.address() + regs::instruction_len(kp))
    }
}

/// # Safety
///
/// To be called only as the `pre_handler` of a redirect of `O`.
unsafe extern "C" fn pre<O: Owner<bindings::kprobe, Handler: Handler>>(
    kp: *mut bindings::kprobe,
    regs: *mut pt_regs,
) -> c_int {
    // SAFETY: By the safety requirements, `kp` is a probe of `O` that is hit with `regs`.
    let address = unsafe { context::call::<O, _, _, _>(kp, regs, O::Handler::pre) };
    let Some(address) = address else { return 0 };
    // SAFETY: `regs` are the saved registers. By the safety requirements of `Redirect::new`, the
    // probed code can continue at `address`. The kernel does so, because this returns 1.
    unsafe { regs::register(regs, Register::INSTRUCTION_POINTER).write(address.as_usize()) };
    1
}
