// SPDX-License-Identifier: GPL-2.0

//! Values by key, which handlers insert, change and take.

use super::{
    key::{
        Hash,
        Key,
        Words, //
    },
    show::{
        dropped,
        Form,
        Show,
        Shown,
        View, //
    },
    table::{
        allocate,
        secret,
        Free,
        Pinned, //
    },
};
use crate::{
    kernel_ext::count::Count,
    regs, //
};
use core::{
    cell::UnsafeCell,
    fmt,
    hint::spin_loop,
    mem::MaybeUninit,
    sync::atomic::{
        AtomicU32,
        Ordering, //
    }, //
};
use kernel::prelude::*;

/// A map of a fixed capacity from keys to values, for what begins at one hit and ends at another.
///
/// Each key belongs to a bucket. A CPU owns the bucket while it works on it, for a few dozen
/// instructions, and other CPUs wait for that, up to a limit. A handler that has interrupted an
/// operation of its own CPU on the same bucket, as in an NMI, cannot wait. If the bucket stays in
/// use, or if there is no room for a new key, the operation is not done, and
/// [`dropped`](Map::dropped) counts it. A key that is absent is not counted.
///
/// An entry that is taken makes room at once. Entries that are never taken stay. To remove what is
/// old, store a time in the value, and call [`retain`](Map::retain), which visits all entries: from
/// process context, or in a handler of a rare event. What belongs to a task is removed in that way,
/// or taken, at the tracepoint `sched_process_exit`.
///
/// # Examples
///
/// The time from when a task is woken until it runs:
///
/// ```
/// use kprobes::{Histogram, Map};
///
/// struct Latency {
///     woken: Map<i32, u64>,
///     waited: Histogram,
/// }
///
/// impl Latency {
///     fn wake(&self, pid: i32, now: u64) {
///         self.woken.insert(pid, now);
///     }
///
///     fn run(&self, pid: i32, now: u64) {
///         if let Some(woken) = self.woken.take(pid) {
///             self.waited.record(now - woken);
///         }
///     }
/// }
/// ```
///
/// # Invariants
///
/// An entry in the chain of a bucket is initialised, and `in_bucket` has that bucket. Only the
/// owner of the bucket accesses such an entry. An entry in no chain is either in `free`, or
/// accessed only by the CPU that has taken it from there.
pub struct Map<K: Key, V: Copy + Send + 'static> {
    hash: Hash,
    mask: usize,
    buckets: KVVec<Bucket>,
    entries: KVVec<Entry<K::Words, V>>,
    free: Free,
    dropped: Count,
}

struct Bucket {
    /// The CPU that works on it, plus 1, or 0.
    owner: AtomicU32,
    /// The first entry of its chain, or 0.
    first: AtomicU32,
}

struct Entry<W, V> {
    next: AtomicU32,
    /// The index of the bucket in whose chain it is, plus 1, or 0.
    in_bucket: AtomicU32,
    content: UnsafeCell<MaybeUninit<(W, V)>>,
}

// SAFETY: By the type invariant, one CPU at a time accesses an entry. Keys and values are `Send`.
unsafe impl<K: Key, V: Copy + Send + 'static> Sync for Map<K, V> {}

/// How often a CPU looks at a bucket that another CPU works on.
const ATTEMPTS: u32 = 1 << 16;

/// A bucket that this CPU works on.
///
/// # Invariants
///
/// `owner` of the bucket is this CPU, set by this value.
struct Owned<'a> {
    bucket: &'a Bucket,
    _pinned: Pinned,
}

impl<'a> Owned<'a> {
    #[inline(always)]
    fn new(bucket: &'a Bucket) -> Option<Self> {
        let _pinned = Pinned::new();
        let cpu = regs::cpu() + 1;
        let own = || {
            let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
            bucket.owner.compare_exchange(0, cpu, acquire, relaxed)
        };
        let mut owner = own();
        if owner.is_err() {
            owner = Self::wait(cpu, own);
        }
        // INVARIANT: The exchange has succeeded, so there was no owner, not this CPU either.
        owner.ok().map(|_| Self { bucket, _pinned })
    }

    #[cold]
    fn wait(cpu: u32, own: impl Fn() -> Result<u32, u32>) -> Result<u32, u32> {
        let mut owner = own();
        for _ in 0..ATTEMPTS {
            if owner.is_ok() || owner == Err(cpu) {
                break;
            }
            spin_loop();
            owner = own();
        }
        owner
    }
}

impl Drop for Owned<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.bucket.owner.store(0, Ordering::Release);
    }
}

impl<K: Key, V: Copy + Send + 'static> Map<K, V> {
    /// Creates a map for up to `capacity` keys, from 1 to 2²⁴.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// `EINVAL` for another capacity, `ENOMEM`, or `EDEADLK` if the caller must not sleep.
    #[inline]
    pub fn new(capacity: usize) -> Result<Self> {
        let hash = Hash::new(secret(capacity)?);
        let buckets = capacity.next_power_of_two();
        // INVARIANT: The chains are empty.
        Ok(Self {
            hash,
            mask: buckets - 1,
            entries: allocate(capacity + 1, |_| Entry {
                next: AtomicU32::new(0),
                in_bucket: AtomicU32::new(0),
                content: UnsafeCell::new(MaybeUninit::uninit()),
            })?,
            buckets: allocate(buckets, |_| Bucket {
                owner: AtomicU32::new(0),
                first: AtomicU32::new(0),
            })?,
            free: Free::new(capacity)?,
            dropped: Count::new(),
        })
    }

    /// Calls `work` with the index of `key`'s bucket and with the key's entry in it and its value,
    /// if there is one, while this CPU owns the bucket.
    #[inline(always)]
    fn with<R>(
        &self,
        key: &K::Words,
        work: impl FnOnce(usize, Option<(u32, *mut V)>) -> Option<R>,
    ) -> Option<R> {
        let at = key.hash(self.hash).bucket(self.mask);
        let Some(owned) = self.buckets.get(at).and_then(Owned::new) else {
            self.dropped.add(1);
            return None;
        };
        let mut entry = owned.bucket.first.load(Ordering::Relaxed);
        while let Some(here) = self.entry(entry) {
            // SAFETY: By the type invariant, it is initialised, and ours while we own the bucket.
            let (other, value) = unsafe { (*here.content.get()).assume_init_mut() };
            if other.same(key) {
                return work(at, Some((entry, &raw mut *value)));
            }
            entry = here.next.load(Ordering::Relaxed);
        }
        work(at, None)
    }

    /// Returns an entry, or `None` for 0, the end of a chain.
    #[inline(always)]
    fn entry(&self, entry: u32) -> Option<&Entry<K::Words, V>> {
        if entry == 0 {
            return None;
        }
        self.entries.get(entry as usize)
    }

    /// Adds an entry to a bucket that this CPU owns.
    #[inline]
    fn add(&self, at: usize, key: K::Words, value: V) -> Option<()> {
        let Some(new) = self.free.take() else {
            self.dropped.add(1);
            return None;
        };
        let (bucket, entry) = (self.buckets.get(at)?, self.entry(new)?);
        // SAFETY: By the type invariant, it is ours.
        unsafe { (*entry.content.get()).write((key, value)) };
        entry
            .next
            .store(bucket.first.load(Ordering::Relaxed), Ordering::Relaxed);
        entry.in_bucket.store(at as u32 + 1, Ordering::Relaxed);
        // INVARIANT: The entry is initialised.
        bucket.first.store(new, Ordering::Relaxed);
        Some(())
    }

    /// Removes an entry from a bucket that this CPU owns.
    #[inline]
    fn remove(&self, at: usize, entry: u32) -> Option<()> {
        let mut link = &self.buckets.get(at)?.first;
        loop {
            let next = link.load(Ordering::Relaxed);
            let here = self.entry(next)?;
            if next == entry {
                link.store(here.next.load(Ordering::Relaxed), Ordering::Relaxed);
                here.in_bucket.store(0, Ordering::Relaxed);
                self.free.put(entry);
                return Some(());
            }
            link = &here.next;
        }
    }

    /// Sets the value of `key`. Returns whether it did: there may be no room, or the bucket may be
    /// in use.
    ///
    /// Context: any.
    #[inline]
    pub fn insert(&self, key: K, value: V) -> bool {
        self.update(key, value, |old| *old = value)
    }

    /// Calls `change` with the value of `key`, or, if there is none, inserts `first`. Returns
    /// whether it did either.
    ///
    /// No other CPU changes the value meanwhile. `change` must be short, because other CPUs wait
    /// for it.
    ///
    /// Context: any.
    #[inline]
    pub fn update(&self, key: K, first: V, change: impl FnOnce(&mut V)) -> bool {
        let key = key.words();
        let done = self.with(&key, |at, entry| match entry {
            Some((_, value)) => {
                // SAFETY: It is the value of the entry, and ours while we own the bucket.
                change(unsafe { &mut *value });
                Some(())
            }
            None => self.add(at, key, first),
        });
        done.is_some()
    }

    /// Returns the value of `key`.
    ///
    /// Context: any.
    #[inline]
    pub fn get(&self, key: K) -> Option<V> {
        self.with(&key.words(), |_, entry| {
            // SAFETY: It is the value of the entry, and ours while we own the bucket.
            entry.map(|(_, value)| unsafe { value.read() })
        })
    }

    /// Removes `key` and returns its value.
    ///
    /// Context: any.
    #[inline]
    pub fn take(&self, key: K) -> Option<V> {
        self.with(&key.words(), |at, entry| {
            let (entry, value) = entry?;
            // SAFETY: It is the value of the entry, which is ours until it is removed.
            let value = unsafe { value.read() };
            self.remove(at, entry)?;
            Some(value)
        })
    }

    /// Returns how often an operation was not done, because there was no room for a new key or the
    /// bucket was in use.
    ///
    /// Context: any.
    #[inline]
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Returns how many keys there is room for.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.entries.len() - 1
    }

    /// Returns keys and values, in no particular order. What handlers insert or take meanwhile may
    /// be among them or not. What is in a bucket that stays in use is left out, and not counted as
    /// dropped.
    ///
    /// Context: any.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        let visit = |entry| self.visit(entry, |_, key, value| (key, value));
        (1..self.entries.len() as u32).filter_map(visit)
    }

    /// Calls `work` with an entry, if it is in the chain of a bucket, while this CPU owns the
    /// bucket.
    #[inline]
    fn visit<R>(&self, entry: u32, work: impl FnOnce(usize, K, V) -> R) -> Option<R> {
        let here = self.entry(entry)?;
        let in_bucket = here.in_bucket.load(Ordering::Relaxed);
        let at = (in_bucket as usize).checked_sub(1)?;
        let _owned = Owned::new(self.buckets.get(at)?)?;
        // It may have been taken, and inserted in another bucket.
        if here.in_bucket.load(Ordering::Relaxed) != in_bucket {
            return None;
        }
        // SAFETY: By the type invariant, it is initialised, and ours while we own the bucket.
        let (key, value) = unsafe { (*here.content.get()).assume_init() };
        Some(work(at, K::from_words(key), value))
    }

    /// Removes all entries that [`iter`](Map::iter) would return and for which `keep` is false.
    /// Handlers may use the map meanwhile.
    ///
    /// `keep` must be short, because handlers on other CPUs wait for it.
    ///
    /// Context: any.
    #[inline]
    pub fn retain(&self, mut keep: impl FnMut(K, V) -> bool) {
        for entry in 1..self.entries.len() as u32 {
            self.visit(entry, |at, key, value| {
                if !keep(key, value) {
                    self.remove(at, entry);
                }
            });
        }
    }

    /// Removes all entries. Handlers may use the map meanwhile.
    ///
    /// Context: any.
    #[inline]
    pub fn clear(&self) {
        self.retain(|_, _| false);
    }
}

impl<K: Key, V: Show + Copy + Send + 'static> View for Map<K, V> {
    #[inline]
    fn show(&self, form: Form, most: usize, out: &mut dyn fmt::Write) -> fmt::Result {
        for (key, value) in self.iter().take(most) {
            let (key, value) = (Shown(form, &key), Shown(form, &value));
            match form {
                Form::Text => writeln!(out, "[{key}]: {value}")?,
                Form::Json => writeln!(out, "{{\"key\":{key},\"value\":{value}}}")?,
            }
        }
        dropped(form, out, self.dropped())
    }

    #[inline]
    fn clear(&self) -> Result {
        Map::clear(self);
        Ok(())
    }
}
