// SPDX-License-Identifier: GPL-2.0

//! Methods of a registered probe of any kind.

use super::{
    Kind,
    Raw, //
};
use crate::kernel_ext::{
    may_wait::may_wait,
    symbol::{
        Address,
        Location, //
    }, //
};
use crate::prelude::*;

/// How the probed code calls the handler. The first three are those of kprobes, and of all kinds
/// that are based on kprobes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The ftrace call at the entry of the function. Only on x86-64, which has
    /// `CONFIG_KPROBES_ON_FTRACE`.
    Ftrace,
    /// A jump in place of the instruction (`KPROBE_FLAG_OPTIMIZED`). The kernel writes the jump
    /// some time after it sets the flag. Only on x86-64, which has `CONFIG_OPTPROBES`.
    Jump,
    /// A breakpoint instruction. The kernel executes the probed instruction from a copy.
    Breakpoint,
    /// ftrace calls the library directly, for an [`Entry`](crate::Entry).
    Entry,
    /// The tracepoint calls the library directly, for a [`Tracepoint`](crate::Tracepoint).
    Tracepoint,
}

impl Mechanism {
    /// Returns the name, for log lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ftrace => "ftrace",
            Self::Jump => "jump",
            Self::Breakpoint => "breakpoint",
            Self::Entry => "entry",
            Self::Tracepoint => "tracepoint",
        }
    }
}

/// A registered probe of the kind `K`: a [`Probe`](super::Probe) or a member of a set.
///
/// Context: any, unless a method documents another one.
///
/// # Invariants
///
/// It is registered as long as there is a reference to it.
#[repr(C)]
pub struct Registered<K: Kind> {
    /// The index of its target in a set or a `Pending`; 0 for a single probe.
    pub(super) index: u32,
    /// The error if the probe was refused.
    pub(super) refused: Cell<Option<Error>>,
    pub(super) raw: Opaque<K::Raw>,
}

/// Returns the index of the target of a probe in its set.
///
/// # Safety
///
/// `raw` must be the C struct of a registered probe.
#[inline(always)]
pub(crate) unsafe fn index_of<R: Raw>(raw: *const R) -> usize {
    // SAFETY: By the safety requirements, `raw` is the field at `RAW_OFFSET` of a `Registered`,
    // which begins with the index.
    unsafe { raw.byte_sub(RAW_OFFSET).cast::<u32>().read() as usize }
}

const RAW_OFFSET: usize = size_of::<u32>() + size_of::<Option<Error>>();

// SAFETY: Fields that the kernel writes are read by volatile or atomic accesses, and locks
// serialise enabling and disabling.
unsafe impl<K: Kind> Sync for Registered<K> {}

/// Declares methods of [`Raw`] as methods of [`Registered`].
macro_rules! queries {
    ($($(#[$doc:meta])* $name:ident -> $type:ty;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(&self) -> $type {
                // SAFETY: By the type invariant, the probe is registered.
                unsafe { K::Raw::$name(self.as_raw()) }
            }
        )*
    };
}

/// Declares `enable` and `disable` for `$probes`.
macro_rules! switches {
    (|$this:ident| $probes:expr; $($(#[$doc:meta])* $name:ident = $on:literal;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(&self) -> Result {
                may_wait()?;
                let $this = self;
                // SAFETY: By the type invariant, the probes are registered. The caller may sleep.
                unsafe { K::Raw::arm($probes, $on) }
            }
        )*
    };
}
pub(super) use switches;

impl<K: Kind> Registered<K> {
    pub(super) const fn uninit(index: u32) -> Self {
        const { assert!(offset_of!(Self, raw) == RAW_OFFSET) };
        Self {
            index,
            refused: Cell::new(None),
            raw: Opaque::uninit(),
        }
    }

    #[inline(always)]
    pub(crate) const fn as_raw(&self) -> *mut K::Raw {
        self.raw.get()
    }

    /// Returns the probe with the C struct `raw`.
    ///
    /// # Safety
    ///
    /// `raw` must be the C struct of a `Registered<K>`.
    #[inline(always)]
    pub(super) unsafe fn from_raw(raw: *mut K::Raw) -> *mut Self {
        let raw = Opaque::cast_from(raw.cast_const()).cast_mut();
        // SAFETY: By the safety requirements, `raw` is a field of a `Registered<K>`.
        unsafe { container_of!(raw, Self, raw) }
    }

    /// Returns the address of the probed instruction, or `None` for a tracepoint.
    ///
    /// For an [`Entry`](crate::Entry), this is the ftrace call at the entry of the function: a few
    /// bytes after its symbol on arm64 and riscv64, and on x86-64 with `CONFIG_X86_KERNEL_IBT`.
    pub fn address(&self) -> Option<Address> {
        // SAFETY: By the type invariant, the probe is registered.
        match unsafe { K::Raw::address(self.as_raw()) } {
            0 => None,
            address => Some(Address::new(address)),
        }
    }

    queries! {
        /// Returns the location for display: symbol and offset, or the name of the tracepoint.
        location -> Location;

        /// Returns the number of hits for which the handler was not called.
        ///
        /// **Kprobes, and all kinds based on them:** A hit is missed if a handler of any kprobe is
        /// running on this CPU (`kprobe::nmissed`). A return probe also misses a call if it already
        /// follows as many calls as it can (`kretprobe::nmissed`, which wraps to 0 after 2³² - 1).
        /// This is the kernel's figure, and a lower bound:
        ///
        /// - The kernel does not count atomically, so hits and misses may add up to slightly less
        ///   than the calls. The handler can count hits exactly, see [`Count`](crate::Count).
        /// - The kernel counts a miss for all probes at the address, including disabled ones.
        /// - The kernel does not count a call from which an [`Override`](crate::Override) at this
        ///   address returned.
        ///
        /// **Entry probes:** A hit is missed within the handler of any entry probe, also of another
        /// module, in the same context of the same task. A softirq, interrupt or NMI is another
        /// context once the kernel has updated `preempt_count()`. Hits and misses add up to the
        /// calls of the function while the probe was enabled, except for [calls that ftrace leaves
        /// out](crate::entry#calls-that-ftrace-leaves-out).
        ///
        /// **Tracepoints:** A hit is missed within a handler of any tracepoint, in the same context
        /// of the same task. For example, a handler of `kmalloc` that allocates misses its own
        /// allocation. The figure is exact.
        missed -> u64;

        /// Returns how the probed code currently calls the handler.
        mechanism -> Mechanism;

        /// Returns whether the probe is neither disabled nor gone.
        ///
        /// A kprobe has no hits while kprobes are disabled globally, which a module cannot query.
        is_enabled -> bool;

        /// Returns whether the probe is gone: the module with the probed code was unloaded. The
        /// probe stays registered, but has no more hits.
        is_gone -> bool;
    }

    switches! {
        |this| &[this.as_raw()];
        /// Enables the probe.
        ///
        /// While kprobes are disabled globally (`kprobes/enabled` in debugfs), this takes effect
        /// once they are enabled globally.
        ///
        /// Context: process context; it sleeps. C functions: `enable_kprobe()`,
        /// `ftrace_set_filter_ips()`, `tracepoint_probe_register()`.
        ///
        /// Errors: `EDEADLK` if the caller must not sleep, as in a handler; `EINVAL` if the probe
        /// is gone; or the error of arming the probe, which then stays disabled.
        enable = true;
        /// Disables the probe.
        ///
        /// A handler may still be running when this returns, and a return probe still follows the
        /// calls in flight to their return.
        ///
        /// Context: process context; it sleeps. C functions: `disable_kprobe()`,
        /// `ftrace_set_filter_ips()`, `tracepoint_probe_unregister()`.
        ///
        /// Errors: `EDEADLK` if the caller must not sleep, as in a handler; or the error of
        /// disarming the probe, which then stays enabled.
        disable = false;
    }
}

impl<K: Kind> fmt::Debug for Registered<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered")
            .field("location", &self.location())
            .field("mechanism", &self.mechanism())
            .field("enabled", &self.is_enabled())
            .field("gone", &self.is_gone())
            .field("missed", &self.missed())
            .finish()
    }
}
