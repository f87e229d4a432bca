// SPDX-License-Identifier: GPL-2.0

//! Maps and histograms: handlers add to them; the log and debugfs show them.
//!
//! | to keep | use | a handler calls |
//! |---|---|---|
//! | a count for each key | [`CountMap`] | [`add`](CountMap::add) |
//! | a count for each call stack | [`CountMap`] with a [`Stack`] as its key | [`Context::stack`](crate::Context::stack), [`add`](CountMap::add) |
//! | a distribution of values | [`Histogram`] | [`record`](Histogram::record) |
//! | a distribution for each key | [`HistogramMap`] | [`record`](HistogramMap::record) |
//! | a value from one hit to another | [`Map`] | [`insert`](Map::insert), [`take`](Map::take), [`update`](Map::update) |
//!
//! To count, use a `CountMap<K>`: handlers take no lock, and CPUs do not contend. Use a `Map<K, V>`
//! if handlers read values back or remove single keys: each operation locks one bucket.
//!
//! Each map has a fixed capacity, so handlers allocate nothing. Handlers may use maps and
//! histograms in any context, NMIs included. A map that cannot store something discards it, and
//! counts that in `dropped()`. A key and its value may take at most 2040 bytes together; more does
//! not compile. Create and free maps and histograms only in process context. That also holds for
//! reading or draining (reading and emptying) a [`CountMap`], a [`Histogram`] or a
//! [`HistogramMap`]. A handler can look up a single key only in a [`Map`].
//!
//! In a [`CountMap`], a [`Histogram`] and a [`HistogramMap`], each CPU has its own counters. A hit
//! writes only to its own CPU's memory, except when its key is new. Reading sums all CPUs, without
//! a snapshot: a concurrent hit may or may not be included.
//!
//! # Why not one of the kernel's maps
//!
//! `tracing_map`, which the `hist` trigger of trace events uses, and BPF's maps are not exported to
//! modules. `rhashtable` is exported, but an insertion may allocate, and writers take bit locks: an
//! NMI could spin on a lock that its own CPU holds. The XArray and the maple tree take a spinlock.

mod buckets;
mod counts;
mod histogram;
mod key;
mod map;
mod show;
pub(crate) mod stack;
mod table;

pub use buckets::Buckets;
pub use buckets::Distribution;
pub use counts::CountMap;
pub use counts::Entries;
pub use counts::HistogramMap;
pub use counts::Keyed;
pub use counts::Row;
pub use counts::Shape;
pub use counts::Sum;
pub use histogram::Histogram;
pub use key::Key;
pub use key::Words;
pub use map::Map;
#[doc(hidden)]
pub use show::by_line;
#[doc(hidden)]
pub use show::fields;
pub use show::Files;
pub use show::Form;
pub use show::Show;
pub use show::Switch;
pub use show::View;
pub use stack::Stack;
