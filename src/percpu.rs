// SPDX-License-Identifier: GPL-2.0

//! Counters of which each CPU has its own.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

use crate::bindings;
use kernel::prelude::*;

/// `N` counters on each CPU: adding to one touches no memory of another CPU.
///
/// On x86-64 with SMP that is one instruction, as `this_cpu_inc()`; without SMP
/// the kernel does not reach per-CPU memory by `gs`.
///
/// Since Linux 7.2. C functions: `__alloc_percpu()`, `free_percpu()`.
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
    /// Counters at zero. Fails with `ENOMEM`.
    ///
    /// Context: process context; it sleeps.
    #[inline]
    pub fn new() -> Result<Self> {
        const { assert!(N > 0 && N <= 1024, "1 to 1024 counters") };
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
        let count = self.counts.wrapping_add(n);
        #[cfg(all(CONFIG_X86_64, CONFIG_SMP))]
        // SAFETY: By the type invariant there is such a word on each CPU, which `gs` leads to; one
        // instruction is not interrupted, nor can the task leave the CPU in it.
        unsafe {
            core::arch::asm!("inc qword ptr gs:[{}]", in(reg) count, options(nostack));
        }
        #[cfg(not(all(CONFIG_X86_64, CONFIG_SMP)))]
        // SAFETY: By the type invariant there is such a word on each CPU.
        unsafe {
            bindings::kprobes_percpu_inc(count.cast());
        }
    }

    /// The sum of all CPUs' counters `n`; 0 where there is none.
    #[inline]
    pub fn get(&self, n: usize) -> u64 {
        if n >= N {
            return 0;
        }
        // SAFETY: By the type invariant there is such a word on each CPU.
        unsafe { bindings::kprobes_percpu_sum(self.counts.wrapping_add(n).cast()) }
    }
}

impl<const N: usize> Drop for PerCpuCounts<N> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant that is what was allocated, and nobody uses it any more.
        unsafe { bindings::kprobes_free_percpu(self.counts.cast()) };
    }
}
