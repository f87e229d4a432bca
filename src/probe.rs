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
use core::{
    mem::offset_of,
    ptr, //
};
use kernel::{
    prelude::*,
    types::Opaque, //
};

/// How the kernel diverts the probed code to the handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The ftrace call at the entry of the function. Never on arm64, which has
    /// no `CONFIG_KPROBES_ON_FTRACE`.
    Ftrace,
    /// A jump in place of the instruction (`KPROBE_FLAG_OPTIMIZED`). The kernel
    /// writes the jump some time after setting the flag. Never on arm64, which
    /// has no `CONFIG_OPTPROBES`.
    Jump,
    /// A breakpoint instruction. The probed instruction is executed from a copy.
    Breakpoint,
}

impl Mechanism {
    /// Returns the name, for log lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ftrace => "ftrace",
            Self::Jump => "jump",
            Self::Breakpoint => "breakpoint",
        }
    }
}

/// The C struct of a probe.
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

    /// Prepares it for registration and returns the C struct.
    ///
    /// # Safety
    ///
    /// `this` must be valid for writing and pinned.
    #[inline(always)]
    pub(crate) unsafe fn prepare(this: *mut Self) -> *mut K {
        // SAFETY: By the safety requirements, `this` is valid.
        let raw = Opaque::cast_into(unsafe { &raw const (*this).raw });
        // SAFETY: `raw` is valid, because `this` is.
        let missed_returns = unsafe { K::missed_returns(raw) };
        // SAFETY: By the safety requirements, `this` is valid for writing.
        unsafe { (&raw mut (*this).missed_returns).write(missed_returns) };
        raw
    }

    /// Returns how many hits the handler was not called for, see [`Probe::missed`].
    ///
    /// # Safety
    ///
    /// The probe must have been registered; it may be unregistered.
    #[inline]
    pub(crate) unsafe fn missed(&self) -> usize {
        let kp: *mut bindings::kprobe = self.raw.get().cast();
        // SAFETY: `kp` is the first field of `raw`, which is initialised by the safety
        // requirements. The kernel may write `nmissed` concurrently, hence volatile.
        let nested = unsafe { ptr::read_volatile(&raw const (*kp).nmissed) };
        if self.missed_returns.is_null() {
            return nested;
        }
        // SAFETY: `prepare` has made it point at a field of `raw`; volatile as above.
        let returns = unsafe { ptr::read_volatile(self.missed_returns) };
        // `int` in C, so negative from 2³¹ on.
        nested + returns as u32 as usize
    }
}

/// A registered probe: a [`Kprobe`](crate::Kprobe), a
/// [`Kretprobe`](crate::Kretprobe), an [`Override`](crate::Override), or one of
/// a set.
///
/// Context: any, unless a method says otherwise.
///
/// # Invariants
///
/// The kprobe is registered as long as there is a reference to it.
/// `missed_returns` is null, or points at `nmissed` of the kretprobe that the
/// kprobe is a field of.
#[repr(transparent)]
pub struct Probe(Registered<bindings::kprobe>);

// SAFETY: Fields that the kernel may write concurrently are read with volatile accesses, and the
// kernel's `kprobe_mutex` serialises enabling and disabling.
unsafe impl Sync for Probe {}

impl Probe {
    /// Creates a reference to a registered probe.
    ///
    /// # Safety
    ///
    /// The probe must stay registered for the duration of `'a`.
    #[inline(always)]
    pub(crate) unsafe fn from_raw<'a, K: Raw>(registered: *const Registered<K>) -> &'a Self {
        const {
            assert!(offset_of!(Registered<K>, raw) == offset_of!(Registered<bindings::kprobe>, raw))
        };
        // SAFETY: By the safety requirements, the pointer is valid for `'a`. The first field of `K`
        // is a kprobe, by the safety requirements of `Raw`, and as asserted above it is where that
        // of a `Registered<kprobe>` is. `Probe` is transparent.
        unsafe { &*registered.cast() }
    }

    #[inline(always)]
    fn kprobe(&self) -> *mut bindings::kprobe {
        self.0.raw.get()
    }

    #[inline]
    fn flags(&self) -> u32 {
        // SAFETY: The kprobe is valid; the kernel may write `flags` concurrently, hence volatile.
        unsafe { ptr::read_volatile(&raw const (*self.kprobe()).flags) }
    }

    /// Returns the address of the probed instruction.
    #[inline]
    pub fn address(&self) -> Address {
        // SAFETY: The kprobe is registered, so its `addr` does not change.
        Address::new(unsafe { (*self.kprobe()).addr } as usize)
    }

    /// Returns the address of the probed instruction as symbol and offset.
    #[inline]
    pub fn location(&self) -> Location {
        self.address().location()
    }

    /// Returns how many hits the handler was not called for.
    ///
    /// A hit is missed if a handler of any kprobe is running on that CPU
    /// (`kprobe::nmissed`). A kretprobe also misses a call if it already follows
    /// as many calls as it can (`kretprobe::nmissed`, which wraps around to 0
    /// after 2³² - 1).
    ///
    /// This is the kernel's figure, and a lower bound:
    ///
    /// - The kernel does not count atomically. If two CPUs miss at the same time, it may count only
    ///   one, so hits and misses add up to the number of calls or slightly less. The handler can
    ///   count its hits exactly, see [`Count`](crate::Count).
    /// - The kernel counts a miss for all probes at the address, including disabled ones. A
    ///   disabled probe has no hits, but may have misses.
    /// - It does not count a call that an [`Override`](crate::Override) at this address returned
    ///   from.
    #[inline]
    pub fn missed(&self) -> usize {
        // SAFETY: By the type invariant, the probe is registered.
        unsafe { self.0.missed() }
    }

    /// Returns how the kernel currently diverts the probed code to the handler.
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

    /// Returns whether the kernel has replaced the breakpoint by a jump, or is
    /// about to (`kprobe_optimized()`).
    #[inline]
    pub fn is_optimized(&self) -> bool {
        self.mechanism() == Mechanism::Jump
    }

    /// Returns whether the probe uses the ftrace call at a function's entry
    /// (`kprobe_ftrace()`).
    #[inline]
    pub fn uses_ftrace(&self) -> bool {
        self.mechanism() == Mechanism::Ftrace
    }

    /// Returns whether the probe is neither disabled nor gone.
    ///
    /// An enabled probe has no hits while kprobes are disabled globally, which a
    /// module cannot query.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.flags() & (bindings::KPROBE_FLAG_DISABLED | bindings::KPROBE_FLAG_GONE) == 0
    }

    /// Returns whether the module that contained the probed code has been
    /// unloaded. The probe stays registered, but has no more hits.
    #[inline]
    pub fn is_gone(&self) -> bool {
        self.flags() & bindings::KPROBE_FLAG_GONE != 0
    }

    /// Disables the probe.
    ///
    /// A handler may still be running when this returns, and a kretprobe still
    /// follows the calls in flight to their return. [`Probe::missed`] may keep
    /// increasing.
    ///
    /// Context: process context; it sleeps. C function: `disable_kprobe()`.
    ///
    /// # Errors
    ///
    /// `EDEADLK` if the caller must not sleep, as in a handler; `EINVAL` if the
    /// kernel does not know the probe; or the error of disarming it, after which it
    /// stays enabled.
    #[inline]
    pub fn disable(&self) -> Result {
        // SAFETY: The kprobe is registered.
        unsafe { registration::disable(self.kprobe()) }
    }

    /// Enables the probe.
    ///
    /// While kprobes are disabled globally (`kprobes/enabled` in debugfs), this
    /// takes effect once they are enabled, which `enable_kprobe()` alone does not
    /// ensure.
    ///
    /// Context: process context; it sleeps. C function: `enable_kprobe()`.
    ///
    /// # Errors
    ///
    /// `EDEADLK` if the caller must not sleep, as in a handler; `EINVAL` if the
    /// probed code is gone; or the error of arming the probe, after which it stays
    /// disabled.
    #[inline]
    pub fn enable(&self) -> Result {
        // SAFETY: The kprobe is registered.
        unsafe { registration::enable(self.kprobe()) }
    }
}
