// SPDX-License-Identifier: GPL-2.0

//! Per-CPU counters.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)
//!
//! The proposed "rust: Add Per-CPU Variable API" would replace this file.

use crate::kernel_ext::may_wait::may_wait;
use crate::prelude::*;
use crate::regs;
use core::ops::Deref;

/// `N` counters on each CPU, so that CPUs do not share cache lines.
///
/// On x86-64, an increment is a single instruction, like `this_cpu_inc()` in C. For counters that
/// live as long as the module, [`per_cpu_counts!`](crate::per_cpu_counts) is cheaper.
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
pub struct PerCpuCounts<const N: usize>(CountsAt<N>);

impl<const N: usize> PerCpuCounts<N> {
    /// Allocates the counters, at zero.
    ///
    /// Context: process context; it sleeps.
    ///
    /// Errors: `ENOMEM`; `EDEADLK` if the caller must not sleep.
    pub fn new() -> Result<Self> {
        const { assert!(N > 0 && N <= 1024, "N must be 1 to 1024") };
        may_wait()?;
        // SAFETY: The alignment, to a cache line, is a power of two.
        let counts = unsafe { bindings::kprobes_alloc_percpu(N * size_of::<u64>(), 64) };
        if counts.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: `counts` was allocated for `N` words.
        Ok(Self(unsafe { CountsAt::new(counts.cast()) }))
    }
}

impl<const N: usize> Deref for PerCpuCounts<N> {
    type Target = CountsAt<N>;

    #[inline(always)]
    fn deref(&self) -> &CountsAt<N> {
        &self.0
    }
}

impl<const N: usize> Drop for PerCpuCounts<N> {
    fn drop(&mut self) {
        // SAFETY: `new` has allocated `words`.
        unsafe { bindings::kprobes_free_percpu(self.0.words.cast()) };
    }
}

/// A pointer to `N` counters on each CPU: those of a [`PerCpuCounts`], or a static that
/// [`per_cpu_counts!`](crate::per_cpu_counts) declares.
///
/// # Invariants
///
/// `words` is a per-CPU pointer to `N` words.
pub struct CountsAt<const N: usize> {
    words: *mut u64,
}

// SAFETY: Any task may use and free per-CPU memory.
unsafe impl<const N: usize> Send for CountsAt<N> {}
// SAFETY: Each CPU writes only its own words, and other CPUs read them by `READ_ONCE()`.
unsafe impl<const N: usize> Sync for CountsAt<N> {}

impl<const N: usize> CountsAt<N> {
    /// # Safety
    ///
    /// `words` must be a per-CPU pointer to `N` words, as long as the result is used.
    #[doc(hidden)]
    pub const unsafe fn new(words: *mut u64) -> Self {
        // INVARIANT: By the safety requirements.
        Self { words }
    }

    /// Increments counter `n` of this CPU. Ignores an `n` of `N` or more.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn inc(&self, n: usize) {
        if n < N {
            // SAFETY: By the type invariant, there is an `n`th word on each CPU.
            unsafe { regs::this_cpu_inc(self.words.wrapping_add(n)) };
        }
    }

    /// Returns the sum of counter `n` over all CPUs, or 0 if `n` is `N` or more.
    ///
    /// Context: any.
    pub fn get(&self, n: usize) -> u64 {
        if n >= N {
            return 0;
        }
        // SAFETY: By the type invariant, there is an `n`th word on each CPU.
        unsafe { bindings::kprobes_percpu_sum(self.words.wrapping_add(n).cast()) }
    }
}

/// Declares static per-CPU counters, like `DEFINE_PER_CPU(u64[N], ...)` in C: a [`CountsAt`].
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
        #[allow(non_upper_case_globals)]
        $vis static $name: $crate::CountsAt<{ $n }> = {
            // The initial values, which the kernel copies for each CPU.
            #[link_section = ".data..percpu"]
            static mut __KPROBES_WORDS: [$crate::macro_paths::u64; $n] = [0; $n];
            // SAFETY: The pointer is a per-CPU pointer, by its section, to `$n` words.
            unsafe { $crate::CountsAt::new((&raw mut __KPROBES_WORDS).cast()) }
        };
    };
}
