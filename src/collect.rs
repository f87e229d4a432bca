// SPDX-License-Identifier: GPL-2.0

//! What handlers collect: maps, distributions, and how they are shown.
//!
//! | what | type | in a handler |
//! |---|---|---|
//! | how often, by key | [`CountMap`] | [`add`](CountMap::add) |
//! | a distribution | [`Histogram`] | [`record`](Histogram::record) |
//! | a distribution for each key | [`HistogramMap`] | [`record`](HistogramMap::record) |
//! | by which calls a function is reached | [`Stack`], as a key | [`Context::stack`](crate::Context::stack) |
//! | a value, from one hit to another | [`Map`] | [`insert`](Map::insert), [`take`](Map::take), [`update`](Map::update) |
//!
//! All of them have a fixed capacity, so that a handler allocates nothing. They work in any
//! context, NMIs included. What a handler cannot store is counted as dropped. A key and its value
//! have at most 2040 bytes. Maps are created, read, drained and dropped in process context.
//!
//! The figures of [`CountMap`], [`Histogram`] and [`HistogramMap`] are kept for each CPU, as
//! [`PerCpuCounts`](crate::PerCpuCounts) are: a hit writes no memory that another CPU writes, and
//! executes no atomic instruction, unless its key is new.
//!
//! # Why not a map of the kernel's
//!
//! `tracing_map`, which trace events use for histograms, and BPF's maps are not exported to
//! modules. `rhashtable` is, but its writers take bit locks, so an interrupt could wait for the
//! code that it interrupted, and an insertion allocates. The XArray and the maple tree take a
//! spinlock.

mod buckets;
mod counts;
mod histogram;
mod key;
mod map;
mod show;
pub(crate) mod stack;
mod table;

pub use buckets::{
    Buckets,
    Distribution, //
};
pub use counts::{
    CountMap,
    Entries,
    HistogramMap,
    Keyed,
    Row,
    Shape,
    Sum, //
};
pub use histogram::Histogram;
pub use key::{
    Key,
    Words, //
};
pub use map::Map;
#[doc(hidden)]
pub use show::{
    by_line,
    fields, //
};
pub use show::{
    Files,
    Form,
    Show,
    Switch,
    View, //
};
pub use stack::Stack;
