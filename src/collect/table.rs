// SPDX-License-Identifier: GPL-2.0

//! A hash table of keys, with counters for each key on each CPU.
//!
//! Handlers look up keys without a lock, because keys are never removed: draining a map replaces
//! the table. One compare-and-swap publishes an entry after its key has been written.

use super::key::*;
use crate::kernel_ext::may_wait::may_wait;
use crate::prelude::*;
use crate::regs;
use kernel::cpu::nr_cpu_ids;
use kernel::sync::rcu;
use kernel::sync::Arc;

/// The largest capacity of a map.
pub(super) const MAX_CAPACITY: usize = 1 << 24;

/// The largest size of an entry. A handler has copies of key and value on its stack.
const MAX_SIZE: usize = 2048;

/// Allocates `n` elements; `value` returns the initial value for an index.
#[inline]
pub(super) fn allocate<T>(n: usize, value: impl Fn(usize) -> T) -> Result<KVVec<T>> {
    const {
        assert!(
            size_of::<T>() <= MAX_SIZE,
            "a key and its value must not exceed 2040 bytes"
        )
    };
    // No warning, because a module may pass any capacity.
    let flags = GFP_KERNEL | __GFP_NOWARN;
    let mut all = KVVec::with_capacity(n, flags)?;
    for at in 0..n {
        all.push(value(at), flags)?;
    }
    Ok(all)
}

/// Returns a secret for [`Hash`], after checking the context and the capacity of a new map.
#[inline]
pub(super) fn secret(capacity: usize) -> Result<[u64; 2]> {
    may_wait()?;
    if !(1..=MAX_CAPACITY).contains(&capacity) {
        return Err(EINVAL);
    }
    // SAFETY: The function may be called from any context.
    Ok(unsafe { [bindings::get_random_u64(), bindings::get_random_u64()] })
}

/// A guard that disables preemption, so that the current CPU and the live table do not change.
pub(super) struct NoPreempt(());

impl NoPreempt {
    #[inline(always)]
    pub(super) fn new() -> Self {
        regs::preempt_disable();
        Self(())
    }
}

impl Drop for NoPreempt {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `new` has disabled preemption, and all code that relies on it holds this guard.
        unsafe { regs::preempt_enable() };
    }
}

/// A lock-free list of free entries, by their index from 1 on. NMIs may use it, too.
///
/// The upper half of `first` counts the changes, so a compare-and-swap fails after any change, even
/// if the list begins with the same entry again (ABA).
pub(super) struct FreeList {
    first: AtomicU64,
    next: KVVec<AtomicU32>,
}

impl FreeList {
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
            // If another CPU has taken the entry, `next` may be stale. Then `set_first` fails.
            let next = self.next.get(entry as usize)?.load(Ordering::Relaxed);
            match self.set_first(first, next) {
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
            match self.set_first(first, entry) {
                Ok(()) => return,
                Err(now) => first = now,
            }
        }
    }

    /// Makes `entry` the first one, unless the list has changed since `first` was read.
    #[inline]
    fn set_first(&self, first: u64, entry: u32) -> Result<(), u64> {
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
/// - An entry in the chain of a bucket stays there, its key is initialised, and no code writes the
///   key. An entry in no chain is in `free`, or only the context that has taken it from `free`
///   accesses its key.
/// - `counters` has `stride` counters for each possible CPU: `width` for each entry.
pub(super) struct Table<K: Key> {
    hash: Hash,
    mask: usize,
    buckets: KVVec<AtomicU32>,
    entries: KVVec<Entry<K::Words>>,
    counters: KVVec<AtomicU64>,
    stride: usize,
    free: FreeList,
}

struct Entry<W> {
    next: AtomicU32,
    key: UnsafeCell<MaybeUninit<W>>,
}

// SAFETY: By the type invariant, a key is written in one context, before others can find it.
unsafe impl<K: Key> Sync for Table<K> {}

impl<K: Key> Table<K> {
    #[inline]
    pub(super) fn new(capacity: usize, width: usize) -> Result<Arc<Self>> {
        let hash = Hash::new(secret(capacity)?);
        let buckets = capacity.next_power_of_two();
        // 8 counters fill a cache line, so that CPUs do not share one.
        let stride = ((capacity + 1) * width).next_multiple_of(8);
        // INVARIANT: All chains are empty, and all entries are in `free`.
        let table = Self {
            hash,
            mask: buckets - 1,
            // The largest is first: if its allocation fails, no time was spent on the others.
            counters: allocate(stride * nr_cpu_ids() as usize, |_| AtomicU64::new(0))?,
            buckets: allocate(buckets, |_| AtomicU32::new(0))?,
            entries: allocate(capacity + 1, |_| Entry {
                next: AtomicU32::new(0),
                key: UnsafeCell::new(MaybeUninit::uninit()),
            })?,
            stride,
            free: FreeList::new(capacity)?,
        };
        // CPUs that add the same new key at the same time take an entry each. A histogram has only
        // one entry, so it would discard the values of all CPUs but one.
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
    /// `link` must be a nonzero link of this table, or from `free`.
    #[inline(always)]
    unsafe fn entry(&self, link: u32) -> &Entry<K::Words> {
        // SAFETY: By the safety requirements, `link` is the index of an entry.
        unsafe { self.entries.get_unchecked(link as usize) }
    }

    /// Returns the link to the entry of `key`, if the chain has one from `first` to before `end`.
    ///
    /// # Safety
    ///
    /// `first` must be read from a bucket with acquire ordering. `end` must be 0 or a former
    /// `first` of the same bucket.
    #[inline(always)]
    unsafe fn find(&self, key: &K::Words, first: u32, end: u32) -> Option<u32> {
        let mut link = first;
        while link != end {
            // SAFETY: The entry is in the chain of a bucket.
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
        // SAFETY: `first` was read from a bucket with acquire ordering.
        unsafe { self.find(key, first, 0) }
    }

    /// Adds `n` to this CPU's counter `at` of the entry `link`.
    ///
    /// # Safety
    ///
    /// `link` must be from [`link`](Table::link) or [`insert`](Table::insert), and `width` the one
    /// of `new`. `at` must be smaller than `width`.
    #[inline(always)]
    pub(super) unsafe fn add(&self, _: &NoPreempt, link: u32, width: usize, at: usize, n: u64) {
        let at = regs::cpu() as usize * self.stride + link as usize * width + at;
        // SAFETY: By the safety requirements and the type invariant, there is such a counter.
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
            // SAFETY: Both were read from the bucket with acquire ordering, or are 0.
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
            // SAFETY: `link` is from `free`.
            let entry = unsafe { self.entry(link) };
            // SAFETY: By the type invariant, only this context accesses the key.
            unsafe { (*entry.key.get()).write(key) };
            entry.next.store(first, Ordering::Relaxed);
            // INVARIANT: The key is initialised, and this publishes it.
            let swap = bucket.compare_exchange(first, link, Ordering::AcqRel, Ordering::Acquire);
            let Err(now) = swap else { return Some(link) };
            // Another context has added entries before `first`.
            (first, end, new) = (now, first, Some(link));
        }
    }

    /// Returns the sum over all CPUs of counter `at` of an entry with `width` counters.
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
            // SAFETY: The entry is in the chain of a bucket.
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
/// The pointer is from [`Arc::into_raw`] and owns a reference.
pub(super) struct Live<T>(AtomicPtr<T>);

impl<T> Live<T> {
    #[inline]
    pub(super) fn new(first: Arc<T>) -> Self {
        // INVARIANT: By this call of `into_raw`.
        Self(AtomicPtr::new(Arc::into_raw(first).cast_mut()))
    }

    /// Returns the object.
    #[inline(always)]
    pub(super) fn get<'a>(&'a self, _guard: &'a NoPreempt) -> &'a T {
        // SAFETY: By the type invariant, the pointer is valid. `replace` waits for this guard.
        unsafe { &*self.0.load(Ordering::Acquire) }
    }

    /// Returns a new reference to the object.
    ///
    /// Context: process context, because dropping the reference may free the memory.
    #[inline]
    pub(super) fn read(&self) -> Arc<T> {
        let _guard = rcu::read_lock();
        let current = self.0.load(Ordering::Acquire);
        // SAFETY: By the type invariant, the pointer is from `into_raw`, and `ManuallyDrop` keeps
        // its reference. `replace` waits for this RCU section.
        let current = core::mem::ManuallyDrop::new(unsafe { Arc::from_raw(current) });
        Arc::clone(&current)
    }

    /// Replaces the object with `next`. Returns the former object once no handler uses it.
    ///
    /// Context: process context; it sleeps.
    #[inline]
    pub(super) fn replace(&self, next: Arc<T>) -> Arc<T> {
        // INVARIANT: By this call of `into_raw`.
        let next = Arc::into_raw(next).cast_mut();
        let before = self.0.swap(next, Ordering::AcqRel);
        // SAFETY: The function only waits.
        unsafe { bindings::kprobes_wait() };
        // SAFETY: By the type invariant, the pointer owned a reference, which it has lost.
        unsafe { Arc::from_raw(before) }
    }
}

impl<T> Drop for Live<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the pointer is from `into_raw` and owns a reference.
        drop(unsafe { Arc::from_raw(*self.0.get_mut()) });
    }
}
