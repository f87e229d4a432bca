// SPDX-License-Identifier: GPL-2.0

//! A limit on how often something is said, with a count of what was not.
//!
//! C header: [`include/linux/ratelimit.h`](srctree/include/linux/ratelimit.h)

use crate::bindings;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::msecs_to_jiffies,
    types::Opaque, //
};

/// Lets a burst of events pass in each interval, and counts the rest.
///
/// A handler that prints needs one: a probed function may be hit a million
/// times a second.
#[pin_data]
pub struct RateLimit {
    #[pin]
    state: Opaque<bindings::ratelimit_state>,
    pending: Atomic<u64>,
    suppressed: Atomic<u64>,
}

// SAFETY: A `struct ratelimit_state` belongs to no task and no CPU.
unsafe impl Send for RateLimit {}
// SAFETY: `___ratelimit()` serialises its callers by itself.
unsafe impl Sync for RateLimit {}

impl RateLimit {
    /// A limit of `burst` events in each `interval_ms` milliseconds.
    ///
    /// In 0 milliseconds, all events pass; in a burst of 0, none does. The
    /// kernel keeps both as a number of 31 bits, the interval in jiffies; what
    /// is longer (24 days at a HZ of 1000) or larger than that, is that.
    #[inline]
    pub fn new(interval_ms: u32, burst: u32) -> impl PinInit<Self> {
        // What is negative is no limit, or nothing passes, and the kernel warns.
        let interval = c_int::try_from(msecs_to_jiffies(interval_ms)).unwrap_or(c_int::MAX);
        let burst = c_int::try_from(burst).unwrap_or(c_int::MAX);
        pin_init!(Self {
            state <- Opaque::ffi_init(move |state| {
                // SAFETY: `state` is memory for a `struct ratelimit_state`, which stays where it is.
                unsafe { bindings::kprobes_ratelimit_init(state, interval, burst) };
            }),
            pending: Atomic::new(0),
            suppressed: Atomic::new(0),
        })
    }

    /// Whether one more event may pass: `Some(n)` where it may, after `n`
    /// events that might not, `None` where it may not.
    ///
    /// Context: any. C function `___ratelimit()`.
    #[inline]
    pub fn pass(&self) -> Option<u64> {
        // SAFETY: `state` is initialised and pinned; the name is only read where
        // RATELIMIT_MSG_ON_RELEASE is not set, and is a C string all the same.
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

    /// How many events did not pass, in all.
    #[inline]
    pub fn suppressed(&self) -> u64 {
        self.suppressed.load(Relaxed)
    }
}
