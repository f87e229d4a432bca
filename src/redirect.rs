// SPDX-License-Identifier: GPL-2.0

//! Redirects: a handler at an instruction lets the probed code continue elsewhere.
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
    |O, target, options| kprobe::Calls::diverting(target, options, false, pre::<O>)
}

/// A registered kprobe whose handler may have the probed code continue at another instruction. See
/// [`Probe`] for what else it can do.
///
/// If a redirect takes effect, probes that were registered earlier at the same address have neither
/// a hit nor a [miss](probe::Registered::missed). If something else redirects the function at its
/// entry, such as a live patch, one of the two takes effect.
///
/// The kernel never optimises this probe into a jump: the handler of an optimised probe could not
/// redirect execution.
///
/// C functions: `register_kprobe()`, `instruction_pointer_set()`, `unregister_kprobe()`.
pub type Redirect<H> = probe::Probe<Kind, H>;

/// Redirects at several places that share a handler. See [`Set`] for what it can do.
pub type RedirectSet<H> = probe::Set<Kind, H>;

/// What [`Handler::pre`] can find out.
pub type Context<'a> = kprobe::Context<'a>;

/// Callbacks of a [`Redirect`] or a [`RedirectSet`].
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// Called before the probed instruction. `None` runs it; `Some(address)` continues there
    /// instead. [`next_instruction`](crate::Context::next_instruction) is the address that skips
    /// the instruction.
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
        /// Each address that `handler` returns must be that of an instruction of the kernel, and
        /// stay so until the probe is dropped. The probed code must be able to continue there, with
        /// its CPU registers and its stack as they are, and without the effects of the instructions
        /// that are left out.
        [unsafe] for<'a> Target<'a>, Options, register
    }
}

impl<H: Handler> RedirectSet<H> {
    probe::constructors! {
        /// Registers `handler` at all of the targets, or at none of them. With
        /// [`Options::partial`](probe::Options::partial), at those that are not refused.
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
        /// Registers `handler` as the `new` of a `Pending` of any other kind does.
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
    // SAFETY: By the safety requirements, `kp` is a probe of `O`; the kernel has passed both.
    let address = unsafe { context::call::<O, _, _, _>(kp, regs, O::Handler::pre) };
    let Some(address) = address else { return 0 };
    // SAFETY: `regs` are the saved registers, to which there are no references. By the safety
    // requirements of `Redirect::new`, the probed code can continue there. Returning 1 makes the
    // kernel return to it without the probed instruction.
    unsafe { regs::register(regs, Register::INSTRUCTION_POINTER).write(address.as_usize()) };
    1
}
