// SPDX-License-Identifier: GPL-2.0

//! A single histogram, without keys.

use super::buckets::Buckets;
use super::counts::*;
use super::show::*;
use crate::prelude::*;
use core::fmt;

/// A distribution of values. A [`HistogramMap`] has one for each key. No value is ever discarded.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// use kprobes::{timed, Histogram};
///
/// struct Latency(Histogram);
///
/// #[vtable]
/// impl timed::Handler for Latency {
///     type Data = ();
///
///     fn ret(&self, _cx: &timed::ReturnContext<'_>, (): (), ns: u64) {
///         self.0.record(ns / 1000);
///     }
///
///     fn unregistered(&self, _missed: u64) {
///         kprobes::log!(&self.0);
///     }
/// }
/// # fn f() -> Result { let _ = Latency(Histogram::log2()?); Ok(()) }
/// ```
pub struct Histogram(HistogramMap<()>);

impl Histogram {
    /// Creates a histogram in powers of two.
    ///
    /// Context: process context; it sleeps.
    ///
    /// Errors: `ENOMEM`, or `EDEADLK` if the caller must not sleep.
    #[inline]
    pub fn log2() -> Result<Self> {
        Self::with_buckets(Buckets::LOG2)
    }

    /// Creates a histogram with the buckets of [`Buckets::linear`].
    ///
    /// Context and errors: as [`log2`](Histogram::log2), and the errors of [`Buckets::linear`].
    #[inline]
    pub fn linear(min: u64, max: u64, step: u64) -> Result<Self> {
        Self::with_buckets(Buckets::linear(min, max, step)?)
    }

    #[inline]
    fn with_buckets(buckets: Buckets) -> Result<Self> {
        HistogramMap::with_buckets(1, buckets).map(Self)
    }

    /// Counts `value`.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn record(&self, value: u64) {
        self.0.record((), value);
    }

    /// Returns how many values were counted since the histogram was created, drained or cleared.
    ///
    /// Context: process context.
    #[inline]
    pub fn total(&self) -> u64 {
        self.0.read().total()
    }

    /// Empties the histogram and returns its former counts, as the only entry of a map:
    /// `for row in histogram.drain()?.iter() { row.distribution() ... }`.
    ///
    /// Context and errors: as [`HistogramMap::drain`].
    #[inline]
    pub fn drain(&self) -> Result<Entries<(), Buckets>> {
        self.0.drain()
    }
}

impl View for Histogram {
    #[inline]
    fn show(&self, form: Form, _most: usize, out: &mut dyn fmt::Write) -> fmt::Result {
        self.0.read().iter().try_for_each(|row| {
            out.write_str(if form == Form::Json { "{" } else { "" })?;
            row.distribution().show(form, out)
        })
    }

    #[inline]
    fn clear(&self) -> Result {
        self.0.clear()
    }
}
