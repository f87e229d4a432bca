// SPDX-License-Identifier: GPL-2.0

//! An atomic counter that compiles to a single instruction.
//!
//! `kernel::sync::atomic::Atomic<u64>` would replace this file once the kernel inlines Rust helpers
//! by default: without `CONFIG_RUST_INLINE_HELPERS`, its `fetch_add()` calls a C helper, which
//! costs six more instructions.

use crate::prelude::*;

/// An atomic counter with relaxed ordering.
///
/// Context: any.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Creates a counter at zero.
    #[inline]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds `n`.
    #[inline(always)]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Returns the current value.
    #[inline(always)]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
