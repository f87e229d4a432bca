// SPDX-License-Identifier: GPL-2.0

//! Counters of which each CPU has its own.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

use crate::{
    bindings,
    kernel_ext::may_wait::may_wait,
    regs, //
};
use kernel::prelude::*;

/// `N` counters on each CPU: adding to one touches no memory of another CPU.
///
/// On x86-64 with SMP that is one instruction, as `this_cpu_inc()`; without SMP
/// the kernel does not reach per-CPU memory by `gs`.
///
/// Since Linux 7.2. C functions: `__alloc_percpu()`, `free_percpu()`.
///
/// Counters that live as long as the module are cheaper still as statics, see
/// [`per_cpu_counts!`](crate::per_cpu_counts).
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

// SAFETY: Per-CPU memory belongs to no task.
unsafe impl<const N: usize> Send for PerCpuCounts<N> {}
// SAFETY: Each CPU writes its own words, by single instructions or atomically; reading others' is
// reading words that change.
unsafe impl<const N: usize> Sync for PerCpuCounts<N> {}

impl<const N: usize> PerCpuCounts<N> {
    /// Counters at zero. Fails with `ENOMEM`, and with `EDEADLK` where one must
    /// not wait, as in a handler.
    ///
    /// Context: process context; it sleeps.
    #[inline]
    pub fn new() -> Result<Self> {
        const { assert!(N > 0 && N <= 1024, "1 to 1024 counters") };
        may_wait()?;
        // SAFETY: The function takes any size; cache lines are not shared.
        let counts = unsafe { bindings::kprobes_alloc_percpu(N * size_of::<u64>(), 64) };
        if counts.is_null() {
            return Err(ENOMEM);
        }
        // INVARIANT: That is what the function gives.
        Ok(Self {
            counts: counts.cast(),
        })
    }

    /// Adds one to this CPU's counter `n`; nothing where there is none.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn inc(&self, n: usize) {
        if n >= N {
            return;
        }
        // SAFETY: By the type invariant there is such a word on each CPU.
        unsafe { inc(self.counts.wrapping_add(n)) };
    }

    /// The sum of all CPUs' counters `n`; 0 where there is none.
    #[inline]
    pub fn get(&self, n: usize) -> u64 {
        if n >= N {
            return 0;
        }
        // SAFETY: By the type invariant there is such a word on each CPU.
        unsafe { sum(self.counts.wrapping_add(n)) }
    }
}

impl<const N: usize> Drop for PerCpuCounts<N> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant that is what was allocated, and nobody uses it any more.
        unsafe { bindings::kprobes_free_percpu(self.counts.cast()) };
    }
}

/// The sum of all CPUs' words at `count`.
///
/// # Safety
///
/// `count` must be a per-CPU pointer to a word.
#[doc(hidden)]
#[inline]
pub unsafe fn sum(count: *mut u64) -> u64 {
    // SAFETY: By this function's contract.
    unsafe { bindings::kprobes_percpu_sum(count.cast()) }
}

/// Adds one to this CPU's word at `count`.
///
/// # Safety
///
/// `count` must be a per-CPU pointer to a word.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn inc(count: *mut u64) {
    // SAFETY: By this function's contract.
    unsafe { regs::this_cpu_inc(count) };
}

/// Declares static counters of which each CPU has its own, as
/// `DEFINE_PER_CPU(u64[N], ...)` in C: `inc(n)` and `get(n)` are those of
/// [`PerCpuCounts`](crate::PerCpuCounts).
///
/// A handler that counts with it needs no state, and so no pointer to it.
///
/// Since Linux 7.2.
///
/// # Examples
///
/// ```
/// kprobes::per_cpu_counts! {
///     /// Calls, by the error that they returned.
///     static CALLS: 2;
/// }
///
/// CALLS.inc(1);
/// assert_eq!((CALLS.get(0), CALLS.get(1)), (0, 1));
/// ```
#[macro_export]
macro_rules! per_cpu_counts {
    ($(#[$meta:meta])* $vis:vis static $name:ident: $n:expr;) => {
        $(#[$meta])*
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(::core::clone::Clone, ::core::marker::Copy)]
        $vis struct $name;

        impl $name {
            const LEN: usize = $n;

            /// The per-CPU pointer to the words.
            #[inline(always)]
            fn words() -> *mut u64 {
                // Not by itself: it is the copy that the kernel makes for each CPU that is used.
                #[link_section = ".data..percpu"]
                static mut WORDS: [u64; <$name>::LEN] = [0; <$name>::LEN];
                (&raw mut WORDS).cast()
            }

            /// Adds one to this CPU's counter `n`; nothing where there is none.
            #[allow(dead_code)]
            #[inline(always)]
            $vis fn inc(self, n: usize) {
                if n >= Self::LEN {
                    return;
                }
                // SAFETY: There are `LEN` words behind the per-CPU pointer.
                unsafe { $crate::percpu::inc(Self::words().wrapping_add(n)) };
            }

            /// The sum of all CPUs' counters `n`; 0 where there is none.
            #[allow(dead_code)]
            #[inline]
            $vis fn get(self, n: usize) -> u64 {
                if n >= Self::LEN {
                    return 0;
                }
                // SAFETY: There are `LEN` words behind the per-CPU pointer.
                unsafe { $crate::percpu::sum(Self::words().wrapping_add(n)) }
            }
        }
    };
}
