// SPDX-License-Identifier: GPL-2.0

//! What can be asked of every registered probe, whatever its kind.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)

use crate::{
    bindings,
    register,
    symbol::{
        Address,
        Location, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// How the kernel diverts the probed code to the handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Through ftrace's call at the entry of the function. On arm64 never: the
    /// kernel has no `CONFIG_KPROBES_ON_FTRACE` there.
    Ftrace,
    /// By a jump in place of the instruction (`KPROBE_FLAG_OPTIMIZED`). The
    /// kernel writes the jump a moment after it has decided to. On arm64 never:
    /// the kernel has no `CONFIG_OPTPROBES` there.
    Jump,
    /// By a breakpoint instruction. Before the post handler the probed
    /// instruction is run by itself, from a copy.
    Breakpoint,
}

impl Mechanism {
    /// The word that stands for it in a log line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ftrace => "ftrace",
            Self::Jump => "jump",
            Self::Breakpoint => "breakpoint",
        }
    }
}

/// A registered probe, of a [`Kprobe`](crate::Kprobe) or a
/// [`Kretprobe`](crate::Kretprobe), or one of a set.
///
/// # Invariants
///
/// For `'a`, `kp` points at a `struct kprobe` that is registered, and `dry` is
/// null or points at the `nmissed` of its `struct kretprobe`.
#[derive(Clone, Copy)]
pub struct Registered<'a> {
    kp: *mut bindings::kprobe,
    dry: *const c_int,
    _probe: PhantomData<&'a bindings::kprobe>,
}

impl<'a> Registered<'a> {
    /// # Safety
    ///
    /// `kp` must stay registered for `'a`.
    pub(crate) unsafe fn kprobe(kp: *mut bindings::kprobe) -> Self {
        // INVARIANT: By this function's contract.
        Self {
            kp,
            dry: ptr::null(),
            _probe: PhantomData,
        }
    }

    /// # Safety
    ///
    /// `rp` must stay registered for `'a`.
    pub(crate) unsafe fn kretprobe(rp: *mut bindings::kretprobe) -> Self {
        // SAFETY: This only computes the addresses of fields of a valid struct.
        // INVARIANT: By this function's contract.
        unsafe {
            Self {
                kp: &raw mut (*rp).kp,
                dry: &raw const (*rp).nmissed,
                _probe: PhantomData,
            }
        }
    }

    fn flags(&self) -> u32 {
        // SAFETY: `kp` is valid; flags are written under `kprobe_mutex`, hence volatile.
        unsafe { ptr::read_volatile(&raw const (*self.kp).flags) }
    }
}

/// What every kind of registered probe can be asked.
///
/// Since Linux 7.2. Unless a method says something else, it may be called in
/// any context.
pub trait Probe {
    /// The probe behind this value.
    fn registered(&self) -> Registered<'_>;

    /// The address of the probed instruction.
    fn address(&self) -> Address {
        // SAFETY: The probe is registered, so nobody writes its `addr`.
        Address::new(unsafe { (*self.registered().kp).addr } as usize)
    }

    /// The probed place, as symbol and offset.
    fn location(&self) -> Location {
        self.address().location()
    }

    /// How many hits the handler was not called for.
    ///
    /// Those came while a handler of some kprobe ran on the same CPU
    /// (`kprobe::nmissed`), or, for a return probe, when as many calls were in
    /// flight as it can follow (`kretprobe::nmissed`, which begins again at 0
    /// after 2³² - 1).
    ///
    /// It is the kernel's own figure, and no more exact than that:
    ///
    /// - The kernel does not count atomically. Where two CPUs miss at the same moment, one of the
    ///   two may be lost, and hits and misses add up to a little less than the calls, never to
    ///   more. The calls that the handler ran for it can count exactly: see
    ///   [`Count`](crate::Count).
    /// - The kernel counts for all probes at a place at once, also for those that are disabled: such
    ///   a probe has no hits, and may have misses.
    /// - A hit that another probe at this place kept from this one, because its handler
    ///   [skips the function](crate::Context::skip_function), is not among them.
    fn missed(&self) -> usize {
        let Registered { kp, dry, .. } = self.registered();
        // SAFETY: `kp` is valid; the kernel counts while we read, hence volatile.
        let recursive = unsafe { ptr::read_volatile(&raw const (*kp).nmissed) };
        if dry.is_null() {
            return recursive;
        }
        // SAFETY: `dry` points at a field of the kretprobe, as above.
        recursive + dry_calls(unsafe { ptr::read_volatile(dry) })
    }

    /// How the kernel gets from the probed code to the handler, at this moment.
    fn mechanism(&self) -> Mechanism {
        // SAFETY: The probe is registered.
        let flags = unsafe { bindings::kprobes_place_flags(self.registered().kp) };
        if flags & bindings::KPROBE_FLAG_FTRACE != 0 {
            Mechanism::Ftrace
        } else if flags & bindings::KPROBE_FLAG_OPTIMIZED != 0 {
            Mechanism::Jump
        } else {
            Mechanism::Breakpoint
        }
    }

    /// Whether the kernel has put a jump in the place of the breakpoint, or is
    /// about to (`kprobe_optimized()`).
    fn is_optimized(&self) -> bool {
        self.mechanism() == Mechanism::Jump
    }

    /// Whether the probe is one of ftrace's calls at a function's entry
    /// (`kprobe_ftrace()`).
    fn uses_ftrace(&self) -> bool {
        self.mechanism() == Mechanism::Ftrace
    }

    /// Whether hits reach the handler: the probe is neither disabled nor gone.
    /// They do not while kprobes are off globally, which a module cannot ask.
    fn is_enabled(&self) -> bool {
        self.registered().flags() & (bindings::KPROBE_FLAG_DISABLED | bindings::KPROBE_FLAG_GONE)
            == 0
    }

    /// Whether the probed code is gone, with the module that it was in. The
    /// probe stays what it is, but is not hit any more.
    fn is_gone(&self) -> bool {
        self.registered().flags() & bindings::KPROBE_FLAG_GONE != 0
    }

    /// Lets no hit reach the handler from now on. A handler that runs already
    /// may still run when this returns, and the calls that a return probe
    /// follows already are followed to their return. [`Probe::missed`] may go
    /// on growing.
    ///
    /// Context: process context; it sleeps. C function `disable_kprobe()`.
    ///
    /// # Errors
    ///
    /// `EDEADLK` where one must not wait, as in a handler; `EINVAL` where the
    /// kernel does not know the probe; else that of disarming it, after which it
    /// is enabled as before.
    fn disable(&self) -> Result {
        register::may_wait()?;
        // SAFETY: The probe is registered.
        to_result(unsafe { bindings::disable_kprobe(self.registered().kp) })
    }

    /// Lets hits reach the handler again; where kprobes are off globally
    /// (`kprobes/enabled` in debugfs), from the moment on in which they are on.
    /// `enable_kprobe()` by itself forgets the probe then.
    ///
    /// Context: process context; it sleeps. C function `enable_kprobe()`.
    ///
    /// # Errors
    ///
    /// `EDEADLK` where one must not wait, as in a handler; `EINVAL` where the
    /// probed code is gone; else that of arming the probe, after which it is
    /// disabled as before.
    fn enable(&self) -> Result {
        // SAFETY: The probe is registered.
        unsafe { register::enable(self.registered().kp) }
    }
}

impl Probe for Registered<'_> {
    fn registered(&self) -> Registered<'_> {
        *self
    }
}

/// The calls that a return probe had no instance for. The kernel counts them in
/// an `int`, which becomes negative after 2³¹ of them.
#[inline(always)]
pub(crate) fn dry_calls(nmissed: c_int) -> usize {
    nmissed as u32 as usize
}
