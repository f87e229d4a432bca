// SPDX-License-Identifier: GPL-2.0

//! A map whose values handlers insert, change and take.

use super::key::*;
use super::show::*;
use super::table::*;
use crate::common::*;
use core::fmt;
use core::hint::spin_loop;

/// A map of a fixed capacity from keys to values. It carries a value from one hit to another.
///
/// Each key belongs to a bucket, and each bucket has a lock, which an operation holds for a few
/// dozen instructions. Other CPUs spin on the lock for a bounded time. If a handler, such as one in
/// an NMI, interrupts an operation on the same bucket on the same CPU, it gives up at once instead
/// of spinning. If an operation cannot get a bucket's lock, the bucket is *busy*. An operation that
/// finds the bucket busy, or no room for a new key, does nothing, and [`dropped`](Map::dropped)
/// counts it.
///
/// Taking an entry makes room for another key. An entry that is never taken stays. To remove old
/// entries, store a time in the value and call [`retain`](Map::retain). It visits all entries, so
/// call it only from process context or in a handler of a rare event. Remove the entries of a task
/// at the tracepoint `sched_process_exit`.
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
/// An entry in the chain of a bucket is initialised, and its `in_bucket` is that bucket. Only the
/// CPU that holds the bucket's lock accesses such an entry. An entry in no chain is either in
/// `free`, or accessed only by the CPU that has taken it from there.
pub struct Map<K: Key, V: Copy + Send + 'static> {
    hash: Hash,
    mask: usize,
    buckets: KVVec<Bucket>,
    entries: KVVec<Entry<K::Words, V>>,
    free: Free,
    dropped: Count,
}

struct Bucket {
    /// The lock: the CPU that holds it, plus 1, or 0.
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

/// How often a CPU tries to get a lock that another CPU holds.
const ATTEMPTS: u32 = 1 << 16;

/// A bucket whose lock this CPU holds.
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
        // INVARIANT: The exchange has succeeded, so no CPU had the lock, this CPU included.
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
    /// Creates a map for `capacity` keys; `capacity` is 1 to 2²⁴.
    ///
    /// Context: process context; it sleeps.
    ///
    /// Errors: `EINVAL` if `capacity` is out of range, `ENOMEM`, or `EDEADLK` if the caller must
    /// not sleep.
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

    /// Calls `work` with the lock of `key`'s bucket held. `work` gets the index of the bucket, and
    /// the key's entry and value if the key is in the map.
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
            // SAFETY: By the type invariant, it is initialised, and ours while we hold the lock.
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
        // SAFETY: By the type invariant, it is ours.
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

    /// Sets the value of `key`. Returns true on success, and false if the map is full or the bucket
    /// is busy.
    ///
    /// Context: any.
    #[inline]
    pub fn insert(&self, key: K, value: V) -> bool {
        self.update(key, value, |old| *old = value)
    }

    /// Calls `change` with the value of `key` or, if the key is absent, inserts `first`. Returns
    /// whether it did either: the map may be full, or the bucket busy.
    ///
    /// `change` runs with the bucket's lock held, so no other CPU changes the value meanwhile. It
    /// must be short, because other CPUs spin on the lock. It must not use the same map: an
    /// operation on this bucket would fail, and one on another bucket could spin while this
    /// bucket's lock is held.
    ///
    /// Context: any.
    #[inline]
    pub fn update(&self, key: K, first: V, change: impl FnOnce(&mut V)) -> bool {
        let key = key.words();
        let done = self.with(&key, |at, entry| match entry {
            Some((_, value)) => {
                // SAFETY: It is the value of the entry, and ours while we hold the lock.
                change(unsafe { &mut *value });
                Some(())
            }
            None => self.add(at, key, first),
        });
        done.is_some()
    }

    /// Returns the value of `key`, or `None` if the key is absent or the bucket busy.
    ///
    /// Context: any.
    #[inline]
    pub fn get(&self, key: K) -> Option<V> {
        self.with(&key.words(), |_, entry| {
            // SAFETY: It is the value of the entry, and ours while we hold the lock.
            entry.map(|(_, value)| unsafe { value.read() })
        })
    }

    /// Removes `key` and returns its value, or returns `None` if the key is absent or the bucket
    /// busy.
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

    /// Returns how many operations on a key did nothing because the map was full or the bucket
    /// busy. Clearing does not reset it.
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

    /// Returns keys and values, in no particular order. An entry that a handler inserts or takes
    /// meanwhile may be returned or not. The iterator skips entries of busy buckets, and
    /// [`dropped`](Map::dropped) does not count them.
    ///
    /// Context: any.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        let visit = |entry| self.visit(entry, |_, key, value| (key, value));
        (1..self.entries.len() as u32).filter_map(visit)
    }

    /// Calls `work` with an entry, with the lock of its bucket held. Does nothing if it is in no
    /// chain, or the bucket busy.
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
        // SAFETY: By the type invariant, it is initialised, and ours while we hold the lock.
        let (key, value) = unsafe { (*here.content.get()).assume_init() };
        Some(work(at, K::from_words(key), value))
    }

    /// Removes the entries for which `keep` returns false. Entries of busy buckets stay, and as
    /// with [`iter`](Map::iter), `dropped()` does not count them. Handlers may use the map
    /// meanwhile.
    ///
    /// `keep` runs with the bucket's lock held, so the rules for `change` of
    /// [`update`](Map::update) hold for it, too.
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

    /// Removes all entries. As with [`retain`](Map::retain), those of busy buckets stay, and so may
    /// entries that handlers insert meanwhile.
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
