// SPDX-License-Identifier: GPL-2.0

//! Per-CPU counters.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)
//!
//! The proposed "rust: Add Per-CPU Variable API" would replace it; Linux 7.3 has no per-CPU
//! variables in Rust.

use crate::kernel_ext::may_wait::may_wait;
use crate::prelude::*;
use crate::regs;

/// `N` counters on each CPU. Incrementing one does not touch memory of another CPU.
///
/// On x86-64, an increment is a single instruction, as `this_cpu_inc()` is in C. Counters that live
/// as long as the module are cheaper as statics, see [`per_cpu_counts!`](crate::per_cpu_counts).
///
/// C functions: `__alloc_percpu()`, `free_percpu()`.
///
/// # Examples
///
/// ```
/// use kprobes::PerCpuCounts;
///
/// # fn f() -> kernel::error::Result {
/// let calls = PerCpuCounts::<2>::new()?;
/// calls.inc(1);
/// assert_eq!((calls.get(0), calls.get(1)), (0, 1));
/// # Ok(()) }
/// ```
///
/// # Invariants
///
/// `counts` is a per-CPU pointer to `N` words, which this value owns.
pub struct PerCpuCounts<const N: usize> {
    counts: *mut u64,
}

// SAFETY: Per-CPU memory may be used and freed by any task.
unsafe impl<const N: usize> Send for PerCpuCounts<N> {}
// SAFETY: Each CPU writes only its own words, as `this_cpu_inc()` does. Other CPUs read them with
// `READ_ONCE()`.
unsafe impl<const N: usize> Sync for PerCpuCounts<N> {}

impl<const N: usize> PerCpuCounts<N> {
    /// Allocates counters at zero. Fails with `ENOMEM`, and with `EDEADLK` where the caller must
    /// not sleep, as in a handler.
    ///
    /// Context: process context; it sleeps.
    pub fn new() -> Result<Self> {
        const { assert!(N > 0 && N <= 1024, "1 to 1024 counters") };
        may_wait()?;
        // SAFETY: The function may be called with any size and a power of two. Alignment to a cache
        // line avoids false sharing.
        let counts = unsafe { bindings::kprobes_alloc_percpu(N * size_of::<u64>(), 64) };
        if counts.is_null() {
            return Err(ENOMEM);
        }
        // INVARIANT: It was allocated for `N` words.
        Ok(Self {
            counts: counts.cast(),
        })
    }

    /// Increments counter `n` of this CPU. Does nothing if there is no such counter.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn inc(&self, n: usize) {
        if n >= N {
            return;
        }
        // SAFETY: By the type invariant, there is an `n`th word on each CPU.
        unsafe { inc(self.counts.wrapping_add(n)) };
    }

    /// Returns the sum of counter `n` over all CPUs, or 0 if there is no such counter.
    pub fn get(&self, n: usize) -> u64 {
        if n >= N {
            return 0;
        }
        // SAFETY: By the type invariant, there is an `n`th word on each CPU.
        unsafe { sum(self.counts.wrapping_add(n)) }
    }
}

impl<const N: usize> Drop for PerCpuCounts<N> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, this value owns `counts`.
        unsafe { bindings::kprobes_free_percpu(self.counts.cast()) };
    }
}

/// Returns the sum of the words at `count` over all CPUs.
///
/// # Safety
///
/// `count` must be a per-CPU pointer to a word.
#[doc(hidden)]
#[inline]
pub unsafe fn sum(count: *mut u64) -> u64 {
    // SAFETY: By the safety requirements, `count` is a per-CPU pointer to a word.
    unsafe { bindings::kprobes_percpu_sum(count.cast()) }
}

/// Increments this CPU's word at `count`.
///
/// # Safety
///
/// `count` must be a per-CPU pointer to a word.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn inc(count: *mut u64) {
    // SAFETY: By the safety requirements, `count` is a per-CPU pointer to a word.
    unsafe { regs::this_cpu_inc(count) };
}

/// Declares static per-CPU counters, like `DEFINE_PER_CPU(u64[N], ...)` in C. They have the methods
/// `inc(n)` and `get(n)` of [`PerCpuCounts`](crate::PerCpuCounts).
///
/// # Examples
///
/// ```
/// kprobes::per_cpu_counts! {
///     /// Calls, by result.
///     static CALLS: 2;
/// }
///
/// CALLS.inc(1);
/// assert_eq!((CALLS.get(0), CALLS.get(1)), (0, 1));
/// ```
#[macro_export]
macro_rules! per_cpu_counts {
    (
        $(#[$attribute:ident $($arguments:tt)*])* $vis:vis static $name:ident: $n:expr;
    ) => {
        $($crate::__attribute!($attribute);)*

        $(#[$attribute $($arguments)*])*
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive($crate::macro_paths::core::clone::Clone, $crate::macro_paths::core::marker::Copy)]
        $vis struct $name;

        impl $name {
            const LEN: $crate::macro_paths::usize = $n;

            #[inline(always)]
            fn words() -> *mut $crate::macro_paths::u64 {
                // The kernel copies it for each CPU; this original is never accessed.
                #[link_section = ".data..percpu"]
                static mut WORDS: [$crate::macro_paths::u64; <$name>::LEN] = [0; <$name>::LEN];
                (&raw mut WORDS).cast()
            }

            /// Increments counter `n` of this CPU. Does nothing if there is no such counter.
            #[allow(dead_code)]
            #[inline(always)]
            $vis fn inc(self, n: $crate::macro_paths::usize) {
                if n >= Self::LEN {
                    return;
                }
                // SAFETY: `words()` is a per-CPU pointer to `LEN` words.
                unsafe { $crate::percpu::inc(Self::words().wrapping_add(n)) };
            }

            /// Returns the sum of counter `n` over all CPUs, or 0 if there is no such counter.
            #[allow(dead_code)]
            #[inline]
            $vis fn get(self, n: $crate::macro_paths::usize) -> $crate::macro_paths::u64 {
                if n >= Self::LEN {
                    return 0;
                }
                // SAFETY: `words()` is a per-CPU pointer to `LEN` words.
                unsafe { $crate::percpu::sum(Self::words().wrapping_add(n)) }
            }
        }
    };
}
