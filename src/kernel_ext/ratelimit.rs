// SPDX-License-Identifier: GPL-2.0

//! Rate limiting with a count of suppressed events.
//!
//! C header: [`include/linux/ratelimit.h`](srctree/include/linux/ratelimit.h)
//!
//! A safe wrapper of `struct ratelimit_state` in the `kernel` crate would replace this file.

use crate::prelude::*;
use kernel::sync::atomic::Atomic;
use kernel::sync::atomic::Relaxed;
use kernel::time::msecs_to_jiffies;

/// Lets a burst of events pass in each interval and counts the rest.
///
/// Use one in each handler that prints: a probed function may be called a million times a second.
#[pin_data]
pub struct RateLimit {
    #[pin]
    state: Opaque<bindings::ratelimit_state>,
    pending: Atomic<u64>,
    suppressed: Atomic<u64>,
}

// SAFETY: Any task may use a `struct ratelimit_state`.
unsafe impl Send for RateLimit {}
// SAFETY: `___ratelimit()` may be called concurrently.
unsafe impl Sync for RateLimit {}

impl RateLimit {
    /// Creates a limit of `burst` events in each `interval_ms` milliseconds.
    ///
    /// With an interval of 0, all events pass; with a burst of 0, none does. The burst is at most
    /// `INT_MAX`, and the interval `INT_MAX` jiffies, which is 24 days with `HZ=1000`.
    #[inline]
    pub fn new(interval_ms: u32, burst: u32) -> impl PinInit<Self> {
        // ___ratelimit() warns of negative values.
        let interval = c_int::try_from(msecs_to_jiffies(interval_ms)).unwrap_or(c_int::MAX);
        let burst = c_int::try_from(burst).unwrap_or(c_int::MAX);
        pin_init!(Self {
            state <- Opaque::ffi_init(move |state| {
                // SAFETY: `state` is valid for writes and pinned.
                unsafe { bindings::kprobes_ratelimit_init(state, interval, burst) };
            }),
            pending: Atomic::new(0),
            suppressed: Atomic::new(0),
        })
    }

    /// Returns `None` if the event must be suppressed, or else `Some(n)`, where `n` is the number
    /// of events suppressed since the last one that passed.
    ///
    /// Context: any. C function: `___ratelimit()`.
    #[inline]
    pub fn pass(&self) -> Option<u64> {
        // SAFETY: `state` is initialised and pinned, and the name is a C string.
        if unsafe { bindings::___ratelimit(self.state.get(), c"kprobes".as_char_ptr()) } == 0 {
            self.suppressed.fetch_add(1, Relaxed);
            self.pending.fetch_add(1, Relaxed);
            return None;
        }
        Some(match self.pending.load(Relaxed) {
            0 => 0,
            _ => self.pending.xchg(0, Relaxed),
        })
    }

    /// Returns the total number of suppressed events.
    #[inline]
    pub fn suppressed(&self) -> u64 {
        self.suppressed.load(Relaxed)
    }
}
