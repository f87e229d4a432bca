// SPDX-License-Identifier: GPL-2.0

//! Maps that count by key: [`CountMap`] and [`HistogramMap`].

use super::buckets::*;
use super::key::Key;
use super::show::*;
use super::table::*;
use crate::common::*;
use core::fmt;
use kernel::sync::Arc;

/// A map with a count for each key. See [`Keyed`] for its capacity and methods.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// use kprobes::{entry, Comm, CountMap};
///
/// struct Calls(CountMap<Comm>);
///
/// #[vtable]
/// impl entry::Handler for Calls {
///     fn entry(&self, cx: &entry::Context<'_>) {
///         self.0.add(cx.comm(), 1);
///     }
///
///     fn unregistered(&self, _missed: u64) {
///         for row in self.0.read().top(10).iter().flatten() {
///             pr_info!("{} {}\n", row.key, row.count);
///         }
///     }
/// }
/// # fn f() -> Result { let _ = Calls(CountMap::new(100)?); Ok(()) }
/// ```
pub type CountMap<K> = Keyed<K, Sum>;

/// A map with a histogram for each key. See [`Keyed`] for its capacity and methods.
pub type HistogramMap<K> = Keyed<K, Buckets>;

/// What a map counts for each key: a [`Sum`], or values in [`Buckets`].
pub trait Shape: Copy + Send + Sync + 'static {
    #[doc(hidden)]
    fn width(self) -> usize;
    #[doc(hidden)]
    fn show<K: Key>(form: Form, row: &Row<'_, K, Self>, out: &mut dyn fmt::Write) -> fmt::Result;
}

/// One count for each key, as in a [`CountMap`].
#[derive(Clone, Copy)]
pub struct Sum(());

impl Shape for Sum {
    #[inline(always)]
    fn width(self) -> usize {
        1
    }

    #[inline]
    fn show<K: Key>(form: Form, row: &Row<'_, K, Self>, out: &mut dyn fmt::Write) -> fmt::Result {
        let (key, count) = (Shown(form, &row.key), row.count);
        match form {
            Form::Text => writeln!(out, "[{key}]: {count}"),
            Form::Json => writeln!(out, "{{\"key\":{key},\"count\":{count}}}"),
        }
    }
}

impl Shape for Buckets {
    #[inline(always)]
    fn width(self) -> usize {
        self.len()
    }

    #[inline]
    fn show<K: Key>(form: Form, row: &Row<'_, K, Self>, out: &mut dyn fmt::Write) -> fmt::Result {
        let key = Shown(form, &row.key);
        match form {
            Form::Text => writeln!(out, "[{key}]:")?,
            Form::Json => write!(out, "{{\"key\":{key},")?,
        }
        row.distribution().show(form, out)
    }
}

/// A map of a fixed capacity with counters for each key: a [`CountMap`] or a [`HistogramMap`].
///
/// A key occupies an entry until the map is drained or cleared. If several CPUs add the same new
/// key at the same time, each takes an entry, and all but one of these are then freed. So the
/// capacity should be the expected number of keys plus the number of CPUs.
///
/// A full map discards additions to new keys and counts them in [`dropped`](Keyed::dropped). The
/// drained counts, the counts in the map and `dropped()` add up to all that handlers have added.
///
/// An entry takes 16 to 20 bytes, 8 bytes per word of its key, and 8 bytes per counter on each
/// possible CPU. A [`HistogramMap`] has one counter per bucket. For 1000 keys of two words, such as
/// [`Comm`](crate::Comm), on 8 CPUs, a `CountMap` takes 94 KiB, a map of [`Buckets::LOG2`] 4 MiB.
pub struct Keyed<K: Key, S: Shape> {
    live: Live<Table<K>>,
    shape: S,
    dropped: Count,
}

impl<K: Key> Keyed<K, Sum> {
    /// Creates a map for `capacity` keys; `capacity` is 1 to 2²⁴.
    ///
    /// Context: process context; it sleeps.
    ///
    /// Errors: `EINVAL` if `capacity` is out of range, `ENOMEM`, or `EDEADLK` if the caller must
    /// not sleep.
    #[inline]
    pub fn new(capacity: usize) -> Result<Self> {
        Self::with_shape(capacity, Sum(()))
    }

    /// Adds `n` to the count of `key`. Counts and their sums wrap at 2⁶⁴. If the key is new and the
    /// map full, `n` is added to [`dropped`](Keyed::dropped) instead.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn add(&self, key: K, n: u64) {
        // SAFETY: The width is 1.
        unsafe { self.add_at(key, 0, n) };
    }
}

impl<K: Key> Keyed<K, Buckets> {
    /// Creates a map for `capacity` keys, each with a histogram of these buckets.
    ///
    /// Context and errors: as [`CountMap::new`].
    #[inline]
    pub fn with_buckets(capacity: usize, buckets: Buckets) -> Result<Self> {
        Self::with_shape(capacity, buckets)
    }

    /// Counts `value` in the histogram of `key`. If the key is new and the map full, 1 is added to
    /// [`dropped`](Keyed::dropped) instead.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn record(&self, key: K, value: u64) {
        // SAFETY: The index of a bucket is smaller than their number, which is the width.
        unsafe { self.add_at(key, self.shape.index(value), 1) };
    }
}

impl<K: Key, S: Shape> Keyed<K, S> {
    #[inline]
    fn with_shape(capacity: usize, shape: S) -> Result<Self> {
        Ok(Self {
            live: Live::new(Table::new(capacity, shape.width())?),
            shape,
            dropped: Count::new(),
        })
    }

    /// # Safety
    ///
    /// `at` must be smaller than the shape's width.
    #[inline(always)]
    unsafe fn add_at(&self, key: K, at: usize, n: u64) {
        // Not with preemption disabled, because a module may implement `words`.
        let key = key.words();
        let guard = NoPreempt::new();
        let table = self.live.get(&guard);
        match table.link(&key) {
            // SAFETY: The width is that of `with_shape`. By the safety requirements, `at` is less.
            Some(link) => unsafe { table.add(&guard, link, self.shape.width(), at, n) },
            // SAFETY: By the safety requirements, `at` is less than the width.
            None => unsafe { self.add_new(guard, key, at, n) },
        }
    }

    /// # Safety
    ///
    /// As for [`add_at`](Keyed::add_at).
    #[cold]
    #[inline(never)]
    unsafe fn add_new(&self, guard: NoPreempt, key: K::Words, at: usize, n: u64) {
        let table = self.live.get(&guard);
        match table.insert(key) {
            // SAFETY: The width is that of `with_shape`. By the safety requirements, `at` is less.
            Some(link) => unsafe { table.add(&guard, link, self.shape.width(), at, n) },
            None => self.dropped.add(n),
        }
    }

    /// Returns what was discarded because the map was full: in a [`CountMap`] the sum of the `n`,
    /// in a [`HistogramMap`] the number of values. Draining and clearing do not reset it.
    ///
    /// Context: any.
    #[inline]
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Returns the entries. Handlers keep adding to them.
    ///
    /// Context: process context, also for dropping the `Entries`: that may free memory.
    #[inline]
    pub fn read(&self) -> Entries<K, S> {
        Entries {
            table: self.live.read(),
            shape: self.shape,
        }
    }

    /// Empties the map and returns its former entries, to which handlers no longer add. Each hit is
    /// counted once, in these entries or in the map.
    ///
    /// Context: process context; it sleeps until an RCU grace period has passed.
    ///
    /// Errors: `ENOMEM`, or `EDEADLK` if the caller must not sleep.
    #[inline]
    pub fn drain(&self) -> Result<Entries<K, S>> {
        let capacity = self.live.read().capacity();
        let next = Table::new(capacity, self.shape.width())?;
        Ok(Entries {
            table: self.live.replace(next),
            shape: self.shape,
        })
    }

    /// Empties the map, as [`drain`](Keyed::drain), with the same context and errors.
    #[inline]
    pub fn clear(&self) -> Result {
        self.drain().map(drop)
    }
}

/// Shows the largest count first.
impl<K: Key, S: Shape> View for Keyed<K, S> {
    #[inline]
    fn show(&self, form: Form, most: usize, out: &mut dyn fmt::Write) -> fmt::Result {
        self.read().show(form, most, out)?;
        dropped(form, out, self.dropped())
    }

    #[inline]
    fn clear(&self) -> Result {
        Keyed::clear(self)
    }
}

/// Shows the largest count first.
impl<K: Key, S: Shape> View for Entries<K, S> {
    #[inline]
    fn show(&self, form: Form, most: usize, out: &mut dyn fmt::Write) -> fmt::Result {
        let rows = self.top(most).map_err(|_| fmt::Error)?;
        rows.iter().try_for_each(|row| S::show(form, row, out))
    }
}

/// The entries of a [`CountMap`] or a [`HistogramMap`].
pub struct Entries<K: Key, S: Shape> {
    table: Arc<Table<K>>,
    shape: S,
}

/// An entry: a key with its count.
pub struct Row<'a, K: Key, S: Shape> {
    /// The key.
    pub key: K,
    /// The count; in a [`HistogramMap`], the number of values.
    pub count: u64,
    link: u32,
    entries: &'a Entries<K, S>,
}

impl<K: Key, S: Shape> Entries<K, S> {
    #[inline]
    fn count(&self, link: u32) -> u64 {
        let width = self.shape.width();
        let counts = (0..width).map(|at| self.table.sum(link, width, at));
        counts.fold(0, u64::wrapping_add)
    }

    /// Returns all entries, in no particular order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Row<'_, K, S>> {
        self.table.entries().map(|(link, key)| Row {
            key,
            count: self.count(link),
            link,
            entries: self,
        })
    }

    /// Returns the [`count`](field@Row::count) of `key`, or 0 if the key is absent.
    #[inline]
    pub fn get(&self, key: K) -> u64 {
        let link = self.table.link(&key.words());
        link.map_or(0, |link| self.count(link))
    }

    /// Returns the sum of all counts.
    #[inline]
    pub fn total(&self) -> u64 {
        let counts = self.iter().map(|row| row.count);
        counts.fold(0, u64::wrapping_add)
    }

    /// Returns the `n` entries with the largest counts, the largest first.
    ///
    /// Context: process context; it sleeps. Errors: `ENOMEM`.
    #[inline]
    pub fn top(&self, n: usize) -> Result<KVVec<Row<'_, K, S>>> {
        let mut rows = KVVec::new();
        for row in self.iter() {
            rows.push(row, GFP_KERNEL | __GFP_NOWARN)?;
        }
        // SAFETY: `rows` has this length, and its elements may be moved. `compare` compares them.
        unsafe {
            bindings::sort(
                rows.as_mut_ptr().cast(),
                rows.len(),
                size_of::<Row<'_, K, S>>(),
                Some(Row::<'_, K, S>::compare),
                None,
            );
        }
        rows.truncate(n);
        Ok(rows)
    }
}

impl<K: Key, S: Shape> Row<'_, K, S> {
    /// `cmp_func_t` that sorts the largest count first.
    ///
    /// # Safety
    ///
    /// Both must point at rows.
    unsafe extern "C" fn compare(a: *const c_void, b: *const c_void) -> c_int {
        // SAFETY: By the safety requirements, both point at rows.
        let (a, b) = unsafe { (&*a.cast::<Self>(), &*b.cast::<Self>()) };
        b.count.cmp(&a.count) as c_int
    }
}

impl<K: Key> Row<'_, K, Buckets> {
    /// Returns the histogram of this key.
    #[inline]
    pub fn distribution(&self) -> Distribution<'_> {
        Distribution {
            buckets: self.entries.shape,
            count: self,
        }
    }
}

impl<K: Key> super::buckets::Counts for Row<'_, K, Buckets> {
    #[inline]
    fn count(&self, bucket: usize) -> u64 {
        self.entries
            .table
            .sum(self.link, self.entries.shape.len(), bucket)
    }
}
