// SPDX-License-Identifier: GPL-2.0

//! A counter that costs a handler one instruction.

use core::sync::atomic::{
    AtomicU64,
    Ordering, //
};

/// Counts from all CPUs, in one instruction.
///
/// `kernel::sync::atomic::Atomic` calls a helper in C for each addition, which
/// was measured as six instructions more where the kernel was built without
/// `CONFIG_RUST_INLINE_HELPERS`. It orders nothing: what is counted is what
/// happened, some time.
///
/// Since Linux 7.2. Any context.
pub struct Count(AtomicU64);

impl Count {
    /// A counter at zero.
    #[inline]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds `n`.
    #[inline(always)]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// What was counted so far.
    #[inline(always)]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Count {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}
