// SPDX-License-Identifier: GPL-2.0

//! A map whose entries handlers insert, change and remove.

use super::key::*;
use super::show::*;
use super::table::*;
use crate::common::*;
use core::fmt;
use core::hint::spin_loop;

/// A map of a fixed capacity from keys to values. It carries a value from one hit to another.
///
/// Each bucket has a lock, which an operation holds for a few dozen instructions. Other CPUs spin
/// on the lock for a bounded time. A handler that interrupts the holder on the same CPU, as in an
/// NMI, gives up at once. A bucket whose lock an operation cannot get is *busy*. If the bucket is
/// busy, or there is no room for a new key, the operation does nothing, and
/// [`dropped`](Map::dropped) counts it.
///
/// An entry stays until it is taken. To remove old entries, store a time in the value and call
/// [`retain`](Map::retain). That visits all entries, so call it only in process context or in the
/// handler of a rare event. To remove the entries of tasks that exit, probe the tracepoint
/// `sched_process_exit`.
///
/// Context of all methods but `new`: any, NMI included.
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
/// An entry in the chain of a bucket is initialised, its `in_bucket` is that bucket, and only the
/// CPU that holds the bucket's lock accesses it. An entry in no chain is in `free`, or only the CPU
/// that has taken it from `free` accesses it.
pub struct Map<K: Key, V: Copy + Send + 'static> {
    hash: Hash,
    mask: usize,
    buckets: KVVec<Bucket>,
    entries: KVVec<Entry<K::Words, V>>,
    free: FreeList,
    dropped: Count,
}

struct Bucket {
    /// The lock: the number of the CPU that holds it, plus 1, or 0.
    owner: AtomicU32,
    /// The index of the first entry of the chain, or 0.
    first: AtomicU32,
}

struct Entry<W, V> {
    next: AtomicU32,
    /// The index of the bucket whose chain has this entry, plus 1, or 0.
    in_bucket: AtomicU32,
    content: UnsafeCell<MaybeUninit<(W, V)>>,
}

// SAFETY: By the type invariant, one CPU at a time accesses an entry. Keys and values are `Send`.
unsafe impl<K: Key, V: Copy + Send + 'static> Sync for Map<K, V> {}

/// How often a CPU tries to take a lock that another CPU holds.
const ATTEMPTS: u32 = 1 << 16;

/// A bucket whose lock this CPU holds.
///
/// # Invariants
///
/// `new` has set `owner` of the bucket to this CPU.
struct LockedBucket<'a> {
    bucket: &'a Bucket,
    _guard: NoPreempt,
}

impl<'a> LockedBucket<'a> {
    #[inline(always)]
    fn new(bucket: &'a Bucket) -> Option<Self> {
        let _guard = NoPreempt::new();
        let cpu = regs::cpu() + 1;
        let try_lock = || {
            let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
            bucket.owner.compare_exchange(0, cpu, acquire, relaxed)
        };
        let mut owner = try_lock();
        if owner.is_err() {
            owner = Self::spin(cpu, try_lock);
        }
        // INVARIANT: The exchange has succeeded, so no CPU had the lock, this CPU included.
        owner.ok().map(|_| Self { bucket, _guard })
    }

    #[cold]
    fn spin(cpu: u32, try_lock: impl Fn() -> Result<u32, u32>) -> Result<u32, u32> {
        let mut owner = try_lock();
        for _ in 0..ATTEMPTS {
            if owner.is_ok() || owner == Err(cpu) {
                break;
            }
            spin_loop();
            owner = try_lock();
        }
        owner
    }
}

impl Drop for LockedBucket<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.bucket.owner.store(0, Ordering::Release);
    }
}

impl<K: Key, V: Copy + Send + 'static> Map<K, V> {
    /// Creates a map for `capacity` keys; `capacity` is 1 to 2²⁴.
    ///
    /// Context and errors: as [`CountMap::new`](crate::CountMap::new).
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
            free: FreeList::new(capacity)?,
            dropped: Count::new(),
        })
    }

    /// Calls `work` with the lock of `key`'s bucket held. The arguments are the index of the bucket
    /// and, if the key is in the map, its entry and value.
    #[inline(always)]
    fn with<R>(
        &self,
        key: &K::Words,
        work: impl FnOnce(usize, Option<(u32, *mut V)>) -> Option<R>,
    ) -> Option<R> {
        let at = key.hash(self.hash).bucket(self.mask);
        let Some(locked) = self.buckets.get(at).and_then(LockedBucket::new) else {
            self.dropped.add(1);
            return None;
        };
        let mut entry = locked.bucket.first.load(Ordering::Relaxed);
        while let Some(here) = self.entry(entry) {
            // SAFETY: By the type invariant, the entry is initialised. The lock is held.
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

    /// Adds an entry to a bucket whose lock this CPU holds.
    #[inline]
    fn add(&self, at: usize, key: K::Words, value: V) -> Option<()> {
        let Some(new) = self.free.take() else {
            self.dropped.add(1);
            return None;
        };
        let (bucket, entry) = (self.buckets.get(at)?, self.entry(new)?);
        // SAFETY: By the type invariant, only this CPU accesses the entry.
        unsafe { (*entry.content.get()).write((key, value)) };
        let next = bucket.first.load(Ordering::Relaxed);
        entry.next.store(next, Ordering::Relaxed);
        entry.in_bucket.store(at as u32 + 1, Ordering::Relaxed);
        // INVARIANT: The entry is initialised.
        bucket.first.store(new, Ordering::Relaxed);
        Some(())
    }

    /// Removes an entry from a bucket whose lock this CPU holds.
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

    /// Sets the value of `key`. Returns false if the map is full or the bucket is busy.
    #[inline]
    pub fn insert(&self, key: K, value: V) -> bool {
        self.update(key, value, |old| *old = value)
    }

    /// Calls `change` with the value of `key` or, if the key is absent, inserts `first`. Returns
    /// false if the map is full or the bucket is busy.
    ///
    /// `change` runs with the bucket's lock held. It must be short, because other CPUs spin on the
    /// lock. It must not use the same map: an operation on this bucket would fail, and one on
    /// another bucket could spin with this lock held.
    #[inline]
    pub fn update(&self, key: K, first: V, change: impl FnOnce(&mut V)) -> bool {
        let key = key.words();
        let done = self.with(&key, |at, entry| match entry {
            Some((_, value)) => {
                // SAFETY: `value` is that of an entry in the bucket, whose lock is held.
                change(unsafe { &mut *value });
                Some(())
            }
            None => self.add(at, key, first),
        });
        done.is_some()
    }

    /// Returns the value of `key`, or `None` if the key is absent or the bucket is busy.
    #[inline]
    pub fn get(&self, key: K) -> Option<V> {
        self.with(&key.words(), |_, entry| {
            // SAFETY: `value` is that of an entry in the bucket, whose lock is held.
            entry.map(|(_, value)| unsafe { value.read() })
        })
    }

    /// Removes `key` and returns its value, or `None` if the key is absent or the bucket is busy.
    #[inline]
    pub fn take(&self, key: K) -> Option<V> {
        self.with(&key.words(), |at, entry| {
            let (entry, value) = entry?;
            // SAFETY: `value` is that of an entry in the bucket, whose lock is held.
            let value = unsafe { value.read() };
            self.remove(at, entry)?;
            Some(value)
        })
    }

    /// Returns how many operations on a key did nothing because the map was full or the bucket was
    /// busy. Clearing does not reset it.
    #[inline]
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Returns how many keys there is room for.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.entries.len() - 1
    }

    /// Returns keys and values, in no particular order. Entries that handlers insert or take
    /// meanwhile may or may not be included. The iterator skips entries of busy buckets without
    /// counting them in [`dropped`](Map::dropped).
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        let visit = |entry| self.visit(entry, |_, key, value| (key, value));
        (1..self.entries.len() as u32).filter_map(visit)
    }

    /// Calls `work` with an entry, with the lock of its bucket held. Does nothing if the entry is
    /// in no chain, or its bucket is busy.
    #[inline]
    fn visit<R>(&self, entry: u32, work: impl FnOnce(usize, K, V) -> R) -> Option<R> {
        let here = self.entry(entry)?;
        let in_bucket = here.in_bucket.load(Ordering::Relaxed);
        let at = (in_bucket as usize).checked_sub(1)?;
        let _locked = LockedBucket::new(self.buckets.get(at)?)?;
        // Another CPU may have removed the entry and reused it in another bucket.
        if here.in_bucket.load(Ordering::Relaxed) != in_bucket {
            return None;
        }
        // SAFETY: By the type invariant, the entry is initialised. The lock is held.
        let (key, value) = unsafe { (*here.content.get()).assume_init() };
        Some(work(at, K::from_words(key), value))
    }

    /// Removes the entries for which `keep` returns false. Skips the same entries as
    /// [`iter`](Map::iter). The rules for `change` of [`update`](Map::update) apply to `keep`.
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

    /// Removes all entries, except those of busy buckets and those that handlers insert meanwhile.
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
