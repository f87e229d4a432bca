// SPDX-License-Identifier: GPL-2.0

//! A hash table of keys, with counters for each key on each CPU.
//!
//! Keys are added, never removed, so handlers look them up without a lock. An entry is published
//! by one compare-and-swap, after its key has been written: an NMI finds either all of it or
//! nothing. A new table replaces the whole table when it is drained.

use super::key::{
    Hash,
    Key,
    Words, //
};
use crate::{
    bindings,
    kernel_ext::may_wait::may_wait,
    regs, //
};
use core::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    sync::atomic::{
        AtomicPtr,
        AtomicU32,
        AtomicU64,
        Ordering, //
    }, //
};
use kernel::{
    cpu::nr_cpu_ids,
    prelude::*,
    sync::{
        rcu,
        Arc, //
    }, //
};

/// The largest capacity of a map.
pub(super) const MAX_CAPACITY: usize = 1 << 24;

/// Returns `n` values, for memory that handlers use.
#[inline]
pub(super) fn allocate<T>(n: usize, value: impl Fn(usize) -> T) -> Result<KVVec<T>> {
    let mut all = KVVec::with_capacity(n, GFP_KERNEL)?;
    for at in 0..n {
        all.push(value(at), GFP_KERNEL)?;
    }
    Ok(all)
}

/// Returns the secret of a new map, or why there cannot be one of this capacity.
#[inline]
pub(super) fn secret(capacity: usize) -> Result<[u64; 2]> {
    may_wait()?;
    if !(1..=MAX_CAPACITY).contains(&capacity) {
        return Err(EINVAL);
    }
    // SAFETY: The function may be called from any context.
    Ok(unsafe { [bindings::get_random_u64(), bindings::get_random_u64()] })
}

/// Disables preemption, so that the CPU and the table that a handler uses stay the same.
pub(super) struct Pinned(());

impl Pinned {
    #[inline(always)]
    pub(super) fn new() -> Self {
        regs::preempt_disable();
        Self(())
    }
}

impl Drop for Pinned {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `new` has disabled preemption, and what relied on it holds this guard.
        unsafe { regs::preempt_enable() };
    }
}

/// The entries that are free. Several CPUs, and interrupts and NMIs, may take and return them.
///
/// The upper half of `first` counts the changes, so that a compare-and-swap fails if the list has
/// changed in between, even if it begins with the same entry again.
pub(super) struct Free {
    first: AtomicU64,
    next: KVVec<AtomicU32>,
}

impl Free {
    #[inline]
    pub(super) fn new(capacity: usize) -> Result<Self> {
        let last = capacity - 1;
        Ok(Self {
            first: AtomicU64::new(1),
            next: allocate(capacity, |at| {
                AtomicU32::new(if at == last { 0 } else { at as u32 + 2 })
            })?,
        })
    }

    /// Takes a free entry: its index, plus 1.
    #[inline]
    pub(super) fn take(&self) -> Option<u32> {
        let mut first = self.first.load(Ordering::Acquire);
        loop {
            let entry = first as u32;
            let next = self.next.get(entry.checked_sub(1)? as usize)?;
            // Another CPU may have taken the entry, and `next` be of a later list. Then the
            // compare-and-swap fails.
            let after = u64::from(next.load(Ordering::Relaxed));
            match self.swap(first, after) {
                Ok(()) => return Some(entry),
                Err(now) => first = now,
            }
        }
    }

    /// Returns an entry that the caller has taken.
    #[inline]
    pub(super) fn put(&self, entry: u32) {
        let Some(next) = self.next.get(entry as usize - 1) else {
            return;
        };
        let mut first = self.first.load(Ordering::Relaxed);
        loop {
            next.store(first as u32, Ordering::Relaxed);
            match self.swap(first, u64::from(entry)) {
                Ok(()) => return,
                Err(now) => first = now,
            }
        }
    }

    #[inline]
    fn swap(&self, first: u64, entry: u64) -> Result<(), u64> {
        let changes = (first >> 32).wrapping_add(1) << 32;
        let ordering = (Ordering::AcqRel, Ordering::Acquire);
        self.first
            .compare_exchange_weak(first, changes | entry, ordering.0, ordering.1)
            .map(drop)
    }
}

/// # Invariants
///
/// The key of an entry that a bucket leads to is initialised, and not written any more. The key of
/// another entry is accessed only by who has taken it from `free`.
pub(super) struct Table<K: Key> {
    secret: [u64; 2],
    /// The first entry of each bucket: its index, plus 1, or 0.
    buckets: KVVec<AtomicU32>,
    entries: KVVec<Entry<K::Words>>,
    free: Free,
    /// Of each CPU, `width` counters for each entry.
    counters: KVec<KVVec<AtomicU64>>,
    width: usize,
}

struct Entry<W> {
    next: AtomicU32,
    key: UnsafeCell<MaybeUninit<W>>,
}

// SAFETY: By the type invariant, keys are written by one CPU, before others can find them.
unsafe impl<K: Key> Sync for Table<K> {}

impl<K: Key> Table<K> {
    #[inline]
    pub(super) fn new(capacity: usize, width: usize) -> Result<Arc<Self>> {
        let secret = secret(capacity)?;
        let mut counters = KVec::new();
        for _ in 0..nr_cpu_ids() {
            let of_a_cpu = allocate(capacity * width, |_| AtomicU64::new(0))?;
            counters.push(of_a_cpu, GFP_KERNEL)?;
        }
        // INVARIANT: No bucket leads to an entry.
        let table = Self {
            secret,
            buckets: allocate(capacity.next_power_of_two(), |_| AtomicU32::new(0))?,
            entries: allocate(capacity, |_| Entry {
                next: AtomicU32::new(0),
                key: UnsafeCell::new(MaybeUninit::uninit()),
            })?,
            free: Free::new(capacity)?,
            counters,
            width,
        };
        Ok(Arc::new(table, GFP_KERNEL)?)
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.entries.len()
    }

    #[inline(always)]
    fn bucket(&self, key: K::Words) -> Option<&AtomicU32> {
        let hash = key.hash(Hash::new(self.secret));
        self.buckets.get(hash.bucket(self.buckets.len() - 1))
    }

    /// Returns the entry of `key`, if it is among those from `first` on, and before `end`.
    #[inline(always)]
    fn find(&self, key: &K::Words, first: u32, end: u32) -> Option<u32> {
        let mut entry = first;
        while entry != end {
            let here = self.entries.get(entry as usize - 1)?;
            // SAFETY: By the type invariant, a bucket leads to it, so its key is initialised.
            if unsafe { (*here.key.get()).assume_init_ref() }.same(key) {
                return Some(entry);
            }
            entry = here.next.load(Ordering::Relaxed);
        }
        None
    }

    /// Adds `n` to counter `at` of `key` on this CPU. Returns whether there is room for the key.
    ///
    /// Context: any, with preemption disabled.
    #[inline(always)]
    pub(super) fn add(&self, _pinned: &Pinned, key: K, at: usize, n: u64) -> bool {
        let key = key.words();
        let Some(bucket) = self.bucket(key) else {
            return false;
        };
        let first = bucket.load(Ordering::Acquire);
        let entry = self.find(&key, first, 0);
        let Some(entry) = entry.or_else(|| self.insert(key, bucket, first)) else {
            return false;
        };
        let at = (entry as usize - 1) * self.width + at;
        let counters = self.counters.get(regs::cpu() as usize);
        let Some(counter) = counters.and_then(|counters| counters.get(at)) else {
            return false;
        };
        regs::local_add(counter, n);
        true
    }

    /// Adds an entry for `key`, which is not among those from `first` on.
    #[cold]
    #[inline]
    fn insert(&self, key: K::Words, bucket: &AtomicU32, mut first: u32) -> Option<u32> {
        let Some(new) = self.free.take() else {
            return self.find(&key, bucket.load(Ordering::Acquire), first);
        };
        let entry = self.entries.get(new as usize - 1)?;
        // SAFETY: By the type invariant, it is ours.
        unsafe { (*entry.key.get()).write(key) };
        loop {
            entry.next.store(first, Ordering::Relaxed);
            // INVARIANT: The key is initialised, and this publishes it.
            let swap = bucket.compare_exchange(first, new, Ordering::AcqRel, Ordering::Acquire);
            let Err(now) = swap else { return Some(new) };
            // Another CPU or an interrupt has added entries.
            if let Some(other) = self.find(&key, now, first) {
                self.free.put(new);
                return Some(other);
            }
            first = now;
        }
    }

    /// Returns the index of `key`'s entry.
    ///
    /// Context: any.
    #[inline]
    pub(super) fn index(&self, key: K) -> Option<usize> {
        let key = key.words();
        let first = self.bucket(key)?.load(Ordering::Acquire);
        self.find(&key, first, 0).map(|entry| entry as usize - 1)
    }

    /// Returns the sum over all CPUs of counter `at` of the entry with this index.
    #[inline]
    pub(super) fn sum(&self, index: usize, at: usize) -> u64 {
        let at = index * self.width + at;
        let of_a_cpu = |counters: &KVVec<AtomicU64>| match counters.get(at) {
            Some(counter) => counter.load(Ordering::Relaxed),
            None => 0,
        };
        self.counters.iter().map(of_a_cpu).sum()
    }

    /// Returns the index and the key of all entries.
    #[inline]
    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, K)> + '_ {
        self.buckets.iter().flat_map(move |bucket| {
            let mut next = bucket.load(Ordering::Acquire);
            core::iter::from_fn(move || {
                let index = next.checked_sub(1)? as usize;
                let entry = self.entries.get(index)?;
                next = entry.next.load(Ordering::Relaxed);
                // SAFETY: By the type invariant, a bucket leads to it, so its key is initialised.
                let words = unsafe { (*entry.key.get()).assume_init() };
                Some((index, K::from_words(words)))
            })
        })
    }
}

/// What handlers use until it is replaced.
///
/// # Invariants
///
/// The pointer is from [`Arc::into_raw`], and owns a reference.
pub(super) struct Live<T>(AtomicPtr<T>);

impl<T> Live<T> {
    #[inline]
    pub(super) fn new(first: Arc<T>) -> Self {
        // INVARIANT: By this call of `into_raw`.
        Self(AtomicPtr::new(Arc::into_raw(first).cast_mut()))
    }

    /// Returns it, for as long as preemption is disabled.
    #[inline(always)]
    pub(super) fn get<'a>(&'a self, _pinned: &'a Pinned) -> &'a T {
        // SAFETY: By the type invariant, it is valid, and `replace` waits until preemption is
        // enabled before it lets go of it.
        unsafe { &*self.0.load(Ordering::Acquire) }
    }

    /// Returns a reference that stays valid.
    ///
    /// Context: any but an NMI.
    #[inline]
    pub(super) fn read(&self) -> Arc<T> {
        let _guard = rcu::read_lock();
        let current = self.0.load(Ordering::Acquire);
        // SAFETY: By the type invariant, and `replace` waits for RCU before it lets go of its
        // reference; this one is forgotten.
        let current = core::mem::ManuallyDrop::new(unsafe { Arc::from_raw(current) });
        Arc::clone(&current)
    }

    /// Replaces it by `next`, and returns it when no handler uses it any more.
    ///
    /// Context: process context; it sleeps.
    #[inline]
    pub(super) fn replace(&self, next: Arc<T>) -> Arc<T> {
        // INVARIANT: By this call of `into_raw`.
        let before = self
            .0
            .swap(Arc::into_raw(next).cast_mut(), Ordering::AcqRel);
        // SAFETY: The function only waits.
        unsafe { bindings::kprobes_wait() };
        // SAFETY: By the type invariant, the pointer had a reference, which is ours now.
        unsafe { Arc::from_raw(before) }
    }
}

impl<T> Drop for Live<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant; there is no other user.
        drop(unsafe { Arc::from_raw(*self.0.get_mut()) });
    }
}
