// SPDX-License-Identifier: GPL-2.0

//! A hash table of keys, with counters for each key on each CPU.
//!
//! Handlers add keys and never remove them, so they look them up without a lock. One
//! compare-and-swap publishes an entry, after its key has been written: an NMI finds either all of
//! it or nothing. Draining a map replaces its whole table.

use super::key::*;
use crate::kernel_ext::may_wait::may_wait;
use crate::prelude::*;
use crate::regs;
use kernel::cpu::nr_cpu_ids;
use kernel::sync::rcu;
use kernel::sync::Arc;

/// The largest capacity of a map.
pub(super) const MAX_CAPACITY: usize = 1 << 24;

/// The largest size of an entry. Keys and values are copied on the stack of the probed code.
const MAX_SIZE: usize = 2048;

/// Returns `n` values, for memory that handlers use.
#[inline]
pub(super) fn allocate<T>(n: usize, value: impl Fn(usize) -> T) -> Result<KVVec<T>> {
    const {
        assert!(
            size_of::<T>() <= MAX_SIZE,
            "a key and its value must not exceed 2040 bytes"
        )
    };
    // The module chooses the size, so a size that the kernel never allocates needs no warning.
    let flags = GFP_KERNEL | __GFP_NOWARN;
    let mut all = KVVec::with_capacity(n, flags)?;
    for at in 0..n {
        all.push(value(at), flags)?;
    }
    Ok(all)
}

/// Returns the secret of a new map, or an error if no map of this capacity can be created now.
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

/// A list of free entries, by their index from 1 on. CPUs, interrupts and NMIs may take and return
/// entries at the same time.
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
        let next = |at| AtomicU32::new(if at < capacity { at as u32 + 1 } else { 0 });
        Ok(Self {
            first: AtomicU64::new(1),
            next: allocate(capacity + 1, next)?,
        })
    }

    /// Takes a free entry.
    #[inline]
    pub(super) fn take(&self) -> Option<u32> {
        let mut first = self.first.load(Ordering::Acquire);
        loop {
            let entry = first as u32;
            if entry == 0 {
                return None;
            }
            // If another CPU has taken the entry, `next` may be that of a later list. Then the
            // compare-and-swap fails.
            let next = self.next.get(entry as usize)?.load(Ordering::Relaxed);
            match self.swap(first, next) {
                Ok(()) => return Some(entry),
                Err(now) => first = now,
            }
        }
    }

    /// Returns an entry that the caller has taken.
    #[inline]
    pub(super) fn put(&self, entry: u32) {
        let Some(next) = self.next.get(entry as usize) else {
            return;
        };
        let mut first = self.first.load(Ordering::Relaxed);
        loop {
            next.store(first as u32, Ordering::Relaxed);
            match self.swap(first, entry) {
                Ok(()) => return,
                Err(now) => first = now,
            }
        }
    }

    #[inline]
    fn swap(&self, first: u64, entry: u32) -> Result<(), u64> {
        let new = ((first >> 32).wrapping_add(1) << 32) | u64::from(entry);
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let swap = self
            .first
            .compare_exchange_weak(first, new, success, failure);
        swap.map(drop)
    }
}

/// # Invariants
///
/// - There are `mask + 1` buckets, a power of two. A link, in a bucket or an entry, is the index of
///   an entry, or 0 for none. Entry 0 is not used.
/// - The key of an entry that a bucket leads to is initialised, and not written any more. An entry
///   to which no bucket leads is either in `free`, or its key is accessed only by the context that
///   has taken it from there.
/// - `counters` has `stride` counters for each possible CPU: `width` for each entry.
pub(super) struct Table<K: Key> {
    hash: Hash,
    mask: usize,
    buckets: KVVec<AtomicU32>,
    entries: KVVec<Entry<K::Words>>,
    counters: KVVec<AtomicU64>,
    stride: usize,
    free: Free,
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
        let hash = Hash::new(secret(capacity)?);
        let buckets = capacity.next_power_of_two();
        // CPUs do not share cache lines.
        let stride = ((capacity + 1) * width).next_multiple_of(8);
        // INVARIANT: No bucket leads to an entry.
        let table = Self {
            hash,
            mask: buckets - 1,
            // The largest is first: if it cannot be allocated, the others have not been filled.
            counters: allocate(stride * nr_cpu_ids() as usize, |_| AtomicU64::new(0))?,
            buckets: allocate(buckets, |_| AtomicU32::new(0))?,
            entries: allocate(capacity + 1, |_| Entry {
                next: AtomicU32::new(0),
                key: UnsafeCell::new(MaybeUninit::uninit()),
            })?,
            stride,
            free: Free::new(capacity)?,
        };
        // CPUs that add the same new key at the same time take an entry each, and return all but
        // one. A histogram has only one entry, so it would discard what the other CPUs add.
        if let Some(only) = K::Words::ONLY {
            table.insert(only);
        }
        Ok(Arc::new(table, GFP_KERNEL)?)
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.entries.len() - 1
    }

    #[inline(always)]
    fn bucket(&self, key: K::Words) -> &AtomicU32 {
        let at = key.hash(self.hash).bucket(self.mask);
        // SAFETY: By the type invariant, there are `mask + 1` buckets.
        unsafe { self.buckets.get_unchecked(at) }
    }

    /// # Safety
    ///
    /// `link` must be one of this table's, or from `free`.
    #[inline(always)]
    unsafe fn entry(&self, link: u32) -> &Entry<K::Words> {
        // SAFETY: By the safety requirements, it is the index of an entry.
        unsafe { self.entries.get_unchecked(link as usize) }
    }

    /// Returns the link to the entry of `key`, if it is among those from `first` on, before `end`.
    ///
    /// # Safety
    ///
    /// `first` must be read from a bucket with acquire ordering, and `end` be 0 or have been.
    #[inline(always)]
    unsafe fn find(&self, key: &K::Words, first: u32, end: u32) -> Option<u32> {
        let mut link = first;
        while link != end {
            // SAFETY: A bucket leads to it.
            let entry = unsafe { self.entry(link) };
            // SAFETY: By the type invariant, its key is initialised.
            if unsafe { (*entry.key.get()).assume_init_ref() }.same(key) {
                return Some(link);
            }
            link = entry.next.load(Ordering::Relaxed);
        }
        None
    }

    /// Returns the link to the entry of `key`, if there is one.
    ///
    /// Context: any.
    #[inline(always)]
    pub(super) fn link(&self, key: &K::Words) -> Option<u32> {
        let first = self.bucket(*key).load(Ordering::Acquire);
        // SAFETY: `first` is from a bucket.
        unsafe { self.find(key, first, 0) }
    }

    /// Adds `n` to counter `at` of an entry with `width` of them, on this CPU.
    ///
    /// # Safety
    ///
    /// `link` must be from [`link`](Table::link) or [`insert`](Table::insert), and `at` be smaller
    /// than the `width` of `new`.
    #[inline(always)]
    pub(super) unsafe fn add(&self, _pinned: &Pinned, link: u32, width: usize, at: usize, n: u64) {
        let at = regs::cpu() as usize * self.stride + link as usize * width + at;
        // SAFETY: By the safety requirements, and by the type invariant.
        regs::local_add(unsafe { self.counters.get_unchecked(at) }, n);
    }

    /// Returns the link to the entry of `key`, or `None` if it needs a new entry and none is free.
    ///
    /// Context: any.
    #[inline]
    pub(super) fn insert(&self, key: K::Words) -> Option<u32> {
        let bucket = self.bucket(key);
        let mut end = 0;
        let mut first = bucket.load(Ordering::Acquire);
        let mut new = None;
        loop {
            // SAFETY: Both are from the bucket, or 0.
            if let Some(other) = unsafe { self.find(&key, first, end) } {
                if let Some(link) = new {
                    self.free.put(link);
                }
                return Some(other);
            }
            let link = match new {
                Some(link) => link,
                None => self.free.take()?,
            };
            // SAFETY: It is from `free`.
            let entry = unsafe { self.entry(link) };
            // SAFETY: By the type invariant, it is ours.
            unsafe { (*entry.key.get()).write(key) };
            entry.next.store(first, Ordering::Relaxed);
            // INVARIANT: The key is initialised, and this publishes it.
            let swap = bucket.compare_exchange(first, link, Ordering::AcqRel, Ordering::Acquire);
            let Err(now) = swap else { return Some(link) };
            // Another CPU or an interrupt has added entries before `first`.
            (first, end, new) = (now, first, Some(link));
        }
    }

    /// Returns the sum over all CPUs of counter `at` of an entry with `width` of them.
    #[inline]
    pub(super) fn sum(&self, link: u32, width: usize, at: usize) -> u64 {
        let of_first_cpu = link as usize * width + at;
        let counters = self.counters.iter().skip(of_first_cpu).step_by(self.stride);
        counters
            .map(|counter| counter.load(Ordering::Relaxed))
            .fold(0, u64::wrapping_add)
    }

    /// Returns the links to all entries, with their keys.
    #[inline]
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, K)> + '_ {
        let mut buckets = self.buckets.iter();
        let mut next = 0;
        core::iter::from_fn(move || {
            while next == 0 {
                next = buckets.next()?.load(Ordering::Acquire);
            }
            let link = next;
            // SAFETY: A bucket leads to it.
            let entry = unsafe { self.entry(link) };
            next = entry.next.load(Ordering::Relaxed);
            // SAFETY: By the type invariant, its key is initialised.
            let key = unsafe { (*entry.key.get()).assume_init() };
            Some((link, K::from_words(key)))
        })
    }
}

/// An object that handlers use until it is replaced.
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

    /// Returns the object, which is valid as long as preemption is disabled.
    #[inline(always)]
    pub(super) fn get<'a>(&'a self, _pinned: &'a Pinned) -> &'a T {
        // SAFETY: By the type invariant, it is valid, and `replace` waits until preemption is
        // enabled before it returns the reference.
        unsafe { &*self.0.load(Ordering::Acquire) }
    }

    /// Returns a reference of its own to the object.
    ///
    /// Context: process context, because dropping the reference may free the memory.
    #[inline]
    pub(super) fn read(&self) -> Arc<T> {
        let _guard = rcu::read_lock();
        let current = self.0.load(Ordering::Acquire);
        // SAFETY: By the type invariant, and `replace` waits for RCU before it returns the
        // reference; this one is not dropped.
        let current = core::mem::ManuallyDrop::new(unsafe { Arc::from_raw(current) });
        Arc::clone(&current)
    }

    /// Replaces the object by `next`. Returns the former object when no handler uses it any more.
    ///
    /// Context: process context; it sleeps.
    #[inline]
    pub(super) fn replace(&self, next: Arc<T>) -> Arc<T> {
        // INVARIANT: By this call of `into_raw`.
        let next = Arc::into_raw(next).cast_mut();
        let before = self.0.swap(next, Ordering::AcqRel);
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
