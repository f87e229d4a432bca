// SPDX-License-Identifier: GPL-2.0

//! A reference to a registered probe.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)

use crate::{
    bindings,
    kernel_ext::symbol::{
        Address,
        Location, //
    },
    registration::{
        self,
        Raw, //
    }, //
};
use core::ptr;
use kernel::{
    prelude::*,
    types::Opaque, //
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

/// The C struct of a probe, where the library keeps it.
#[repr(C)]
pub(crate) struct Registered<K> {
    /// `kretprobe::nmissed`, or null.
    missed_returns: *const c_int,
    pub(crate) raw: Opaque<K>,
}

impl<K: Raw> Registered<K> {
    #[inline]
    pub(crate) const fn uninit() -> Self {
        Self {
            missed_returns: ptr::null(),
            raw: Opaque::uninit(),
        }
    }

    /// Prepares it for registration, and returns the C struct.
    ///
    /// # Safety
    ///
    /// `this` must be valid for writing, and pinned.
    #[inline(always)]
    pub(crate) unsafe fn prepare(this: *mut Self) -> *mut K {
        // SAFETY: By the safety requirements, `this` is valid.
        let raw = Opaque::cast_into(unsafe { &raw const (*this).raw });
        // SAFETY: As above; nothing is read from `raw`.
        unsafe { (&raw mut (*this).missed_returns).write(K::missed_returns(raw)) };
        raw
    }
}

/// A registered probe: a [`Kprobe`](crate::Kprobe), a
/// [`Kretprobe`](crate::Kretprobe), an [`Override`](crate::Override), or one of
/// a set.
///
/// The methods may be called in any context, unless they say otherwise.
///
/// # Invariants
///
/// The kprobe is registered as long as a reference to it is there, and
/// `missed_returns` null or that of the kretprobe that it is part of.
#[repr(transparent)]
pub struct Probe(Registered<bindings::kprobe>);

// SAFETY: Reads of the C struct tolerate the kernel's concurrent writes; enabling and disabling are
// serialised by the kernel's `kprobe_mutex`.
unsafe impl Sync for Probe {}

impl Probe {
    /// A reference to a probe.
    ///
    /// # Safety
    ///
    /// `registered` must be so for the duration of `'a`.
    #[inline(always)]
    pub(crate) unsafe fn from_raw<'a, K: Raw>(registered: *const Registered<K>) -> &'a Self {
        // SAFETY: By the safety requirements, it is valid. `K` begins with a kprobe, as `Raw`
        // demands, and `Probe` is transparent.
        unsafe { &*registered.cast() }
    }

    #[inline(always)]
    fn kprobe(&self) -> *mut bindings::kprobe {
        self.0.raw.get()
    }

    #[inline]
    fn flags(&self) -> u32 {
        // SAFETY: The kprobe is valid; others write `flags` under `kprobe_mutex`, hence volatile.
        unsafe { ptr::read_volatile(&raw const (*self.kprobe()).flags) }
    }

    /// The address of the probed instruction.
    #[inline]
    pub fn address(&self) -> Address {
        // SAFETY: The kprobe is registered, so nobody writes its `addr`.
        Address::new(unsafe { (*self.kprobe()).addr } as usize)
    }

    /// The probed place, as symbol and offset.
    #[inline]
    pub fn location(&self) -> Location {
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
    /// - A call that an [`Override`](crate::Override) at this place returned from is not among them.
    #[inline]
    pub fn missed(&self) -> usize {
        // SAFETY: The kprobe is valid; the kernel counts while we read, hence volatile.
        let nested = unsafe { ptr::read_volatile(&raw const (*self.kprobe()).nmissed) };
        if self.0.missed_returns.is_null() {
            return nested;
        }
        // SAFETY: By the type invariant, it is a field of a valid kretprobe; volatile as above.
        let returns = unsafe { ptr::read_volatile(self.0.missed_returns) };
        // An `int` in C, which is negative from the 2³¹st on.
        nested + returns as u32 as usize
    }

    /// How the kernel gets from the probed code to the handler, at this moment.
    #[inline]
    pub fn mechanism(&self) -> Mechanism {
        // SAFETY: The kprobe is registered.
        let flags = unsafe { bindings::kprobes_place_flags(self.kprobe()) };
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
    #[inline]
    pub fn is_optimized(&self) -> bool {
        self.mechanism() == Mechanism::Jump
    }

    /// Whether the probe is one of ftrace's calls at a function's entry
    /// (`kprobe_ftrace()`).
    #[inline]
    pub fn uses_ftrace(&self) -> bool {
        self.mechanism() == Mechanism::Ftrace
    }

    /// Whether hits reach the handler: the probe is neither disabled nor gone.
    /// They do not while kprobes are off globally, which a module cannot ask.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.flags() & (bindings::KPROBE_FLAG_DISABLED | bindings::KPROBE_FLAG_GONE) == 0
    }

    /// Whether the probed code is gone, with the module that it was in. The
    /// probe stays registered, but is not hit any more.
    #[inline]
    pub fn is_gone(&self) -> bool {
        self.flags() & bindings::KPROBE_FLAG_GONE != 0
    }

    /// Keeps hits from the handler from now on. A handler that runs already may
    /// still run when this returns, and the calls that a return probe follows
    /// already are followed to their return. [`Probe::missed`] may go on
    /// growing.
    ///
    /// Context: process context; it sleeps. C function `disable_kprobe()`.
    ///
    /// # Errors
    ///
    /// `EDEADLK` where one must not wait, as in a handler; `EINVAL` where the
    /// kernel does not know the probe; else that of disarming it, after which it
    /// is enabled as before.
    #[inline]
    pub fn disable(&self) -> Result {
        // SAFETY: The kprobe is registered.
        unsafe { registration::disable(self.kprobe()) }
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
    #[inline]
    pub fn enable(&self) -> Result {
        // SAFETY: The kprobe is registered.
        unsafe { registration::enable(self.kprobe()) }
    }
}
