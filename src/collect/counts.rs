// SPDX-License-Identifier: GPL-2.0

//! Counts and distributions by key.

use super::{
    buckets::{
        Buckets,
        Distribution, //
    },
    key::Key,
    show::{
        dropped,
        Form,
        Shown,
        View, //
    },
    table::{
        self,
        Live,
        Pinned,
        Table, //
    },
};
use crate::kernel_ext::count::Count;
use core::fmt;
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// Counts by key, for each CPU. See [`Keyed`] for what else it can do.
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

/// A [`Histogram`](super::Histogram) for each key, for each CPU. See [`Keyed`] for what else it can
/// do.
pub type HistogramMap<K> = Keyed<K, Buckets>;

/// What a map has for each key.
pub trait Shape: Copy + Send + Sync + 'static {
    #[doc(hidden)]
    fn width(self) -> usize;
    #[doc(hidden)]
    fn show<K: Key>(form: Form, row: &Row<'_, K, Self>, out: &mut dyn fmt::Write) -> fmt::Result;
}

/// A count for each key.
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

/// A map of a fixed capacity with counters for each key on each CPU: a [`CountMap`] or a
/// [`HistogramMap`].
///
/// Handlers on all CPUs add to it at once. A key takes one of `capacity` places until the map is
/// drained or cleared; choose one place more for each CPU, because CPUs that add the same new key
/// at the same time each take one for a moment. What is added for a new key when there is no place
/// is dropped, and counted: what has been drained, what is in the map, and
/// [`dropped`](Keyed::dropped) add up to what handlers have added.
///
/// For each place, it takes 12 bytes, the words of the key, and 8 bytes for each possible CPU; a
/// histogram takes 8 bytes for each bucket and possible CPU.
pub struct Keyed<K: Key, S: Shape> {
    live: Live<Table<K>>,
    shape: S,
    dropped: Count,
}

impl<K: Key> Keyed<K, Sum> {
    /// Creates a map for up to `capacity` keys, from 1 to 2²⁴.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// `EINVAL` for another capacity, `ENOMEM`, or `EDEADLK` if the caller must not sleep.
    #[inline]
    pub fn new(capacity: usize) -> Result<Self> {
        Self::with_shape(capacity, Sum(()))
    }

    /// Adds `n` to the count of `key`, which wraps as all figures do here.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn add(&self, key: K, n: u64) {
        // SAFETY: The width is 1.
        unsafe { self.add_at(key, 0, n) };
    }
}

impl<K: Key> Keyed<K, Buckets> {
    /// Creates a map for up to `capacity` keys, with a histogram of these buckets for each.
    ///
    /// Context and errors: as [`CountMap::new`].
    #[inline]
    pub fn with_buckets(capacity: usize, buckets: Buckets) -> Result<Self> {
        Self::with_shape(capacity, buckets)
    }

    /// Counts `value` in the histogram of `key`.
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
        // This is the module's code: it must not run where `table` could be freed if it slept.
        let key = key.words();
        let pinned = Pinned::new();
        let table = self.live.get(&pinned);
        match table.link(&key) {
            // SAFETY: By the safety requirements; the table was made for this width.
            Some(link) => unsafe { table.add(&pinned, link, self.shape.width(), at, n) },
            // SAFETY: By the safety requirements.
            None => unsafe { self.add_new(pinned, key, at, n) },
        }
    }

    /// # Safety
    ///
    /// That of [`add_at`](Keyed::add_at).
    #[cold]
    #[inline(never)]
    unsafe fn add_new(&self, pinned: Pinned, key: K::Words, at: usize, n: u64) {
        let table = self.live.get(&pinned);
        match table.insert(key) {
            // SAFETY: By the safety requirements; the table was made for this width.
            Some(link) => unsafe { table.add(&pinned, link, self.shape.width(), at, n) },
            None => self.dropped.add(n),
        }
    }

    /// Returns how much was not added because the map was full.
    ///
    /// Context: any.
    #[inline]
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Returns the entries. Handlers keep adding to them.
    ///
    /// Context: process context. The map may have been drained when the entries are dropped, which
    /// then frees them.
    #[inline]
    pub fn read(&self) -> Entries<K, S> {
        Entries {
            table: self.live.read(),
            shape: self.shape,
        }
    }

    /// Empties the map and returns the entries that it had, to which no handler adds any more.
    /// Nothing is lost in between: a hit is in these entries or in the map.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, because it allocates the new entries, or `EDEADLK` if the caller must not sleep.
    #[inline]
    pub fn drain(&self) -> Result<Entries<K, S>> {
        let capacity = self.live.read().capacity();
        let next = Table::new(capacity, self.shape.width())?;
        Ok(Entries {
            table: self.live.replace(next),
            shape: self.shape,
        })
    }

    /// Empties the map. Context and errors: as [`drain`](Keyed::drain).
    #[inline]
    pub fn clear(&self) -> Result {
        self.drain().map(drop)
    }
}

/// The largest count first.
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

/// The largest count first.
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

/// A key with its count.
pub struct Row<'a, K: Key, S: Shape> {
    /// The key.
    pub key: K,
    /// The count; of a histogram, of how many values it is.
    pub count: u64,
    link: u32,
    entries: &'a Entries<K, S>,
}

impl<K: Key, S: Shape> Entries<K, S> {
    #[inline]
    fn row(&self, link: u32, key: K) -> Row<'_, K, S> {
        let width = self.shape.width();
        let counts = (0..width).map(|at| self.table.sum(link, width, at));
        Row {
            key,
            count: counts.fold(0, u64::wrapping_add),
            link,
            entries: self,
        }
    }

    /// Returns all keys with their counts, in no particular order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Row<'_, K, S>> {
        self.table.entries().map(|(link, key)| self.row(link, key))
    }

    /// Returns the count of `key`: 0 if there is none. Of a histogram, how many values it has.
    #[inline]
    pub fn get(&self, key: K) -> u64 {
        let link = self.table.link(&key.words());
        link.map_or(0, |link| self.row(link, key).count)
    }

    /// Returns the sum of all counts.
    #[inline]
    pub fn total(&self) -> u64 {
        let mut total = 0_u64;
        for row in self.iter() {
            total = total.wrapping_add(row.count);
        }
        total
    }

    /// Returns the `n` keys with the largest counts, the largest first.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    #[inline]
    pub fn top(&self, n: usize) -> Result<KVVec<Row<'_, K, S>>> {
        let mut order = KVVec::new();
        for row in self.iter() {
            order.push((row.count, row.link), GFP_KERNEL | __GFP_NOWARN)?;
        }
        table::sort(order.as_mut_slice());
        order.truncate(n);
        let mut rows = KVVec::new();
        for &(count, link) in order.iter() {
            // SAFETY: The link is that of a row.
            let key = unsafe { self.table.key(link) };
            let row = Row {
                count,
                ..self.row(link, key)
            };
            rows.push(row, GFP_KERNEL | __GFP_NOWARN)?;
        }
        Ok(rows)
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
