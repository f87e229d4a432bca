// SPDX-License-Identifier: GPL-2.0

//! Buckets of histograms: their ranges and their output.

use super::show::*;
use crate::prelude::*;
use core::fmt;

/// How a histogram divides its values into buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    min: u64,
    max: u64,
    /// 0 for powers of two.
    step: u64,
}

/// The maximum of `(max - min) / step`.
const MAX_LINEAR: u64 = 1000;

impl Buckets {
    /// 65 buckets in powers of two, as bpftrace's `hist()`: 0, 1, 2 to 3, 4 to 7, and so on.
    pub const LOG2: Self = Self {
        min: 0,
        max: 0,
        step: 0,
    };

    /// Buckets of width `step` for the values from `min` to `max - 1`, as bpftrace's `lhist()`. Two
    /// more buckets count the values below `min` and the values of `max` or more.
    ///
    /// Errors: `EINVAL` unless `min < max`, `step` divides `max - min`, and `(max - min) / step` is
    /// at most 1000.
    #[inline]
    pub const fn linear(min: u64, max: u64, step: u64) -> Result<Self> {
        if min >= max || step == 0 || (max - min) % step != 0 || (max - min) / step > MAX_LINEAR {
            return Err(EINVAL);
        }
        Ok(Self { min, max, step })
    }

    /// Returns the number of buckets.
    #[inline(always)]
    pub(super) const fn len(self) -> usize {
        match self.step {
            0 => u64::BITS as usize + 1,
            step => ((self.max - self.min) / step) as usize + 2,
        }
    }

    /// Returns the bucket of `value`.
    #[inline(always)]
    pub(super) const fn index(self, value: u64) -> usize {
        if self.step == 0 {
            (u64::BITS - value.leading_zeros()) as usize
        } else if value < self.min {
            0
        } else if value >= self.max {
            self.len() - 1
        } else {
            ((value - self.min) / self.step) as usize + 1
        }
    }

    /// Returns the smallest and the largest value that bucket `at` counts.
    #[inline]
    const fn range(self, at: usize) -> (u64, u64) {
        match (self.step, at as u64) {
            (0, 0) => (0, 0),
            (0, at) => (1 << (at - 1), u64::MAX >> (64 - at)),
            (_, 0) => (0, self.min.wrapping_sub(1)),
            (step, n) if at < self.len() - 1 => {
                let min = self.min + (n - 1) * step;
                (min, min + step - 1)
            }
            _ => (self.max, u64::MAX),
        }
    }
}

/// The counts of a histogram.
pub(super) trait Counts {
    fn count(&self, bucket: usize) -> u64;
}

/// The buckets of one histogram with their counts.
pub struct Distribution<'a> {
    pub(super) buckets: Buckets,
    pub(super) count: &'a dyn Counts,
}

/// The bar of the largest count.
const BAR: &str = "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@";

impl Distribution<'_> {
    /// Returns the smallest value, the largest value and the count of each bucket, from the first
    /// bucket that is not empty to the last.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let counted = |&at: &usize| self.count.count(at) != 0;
        let first = (0..self.buckets.len()).find(counted).unwrap_or(0);
        let end = (0..self.buckets.len())
            .rfind(counted)
            .map_or(0, |at| at + 1);
        (first..end).map(|at| {
            let (min, max) = self.buckets.range(at);
            (min, max, self.count.count(at))
        })
    }

    /// Writes one line for each bucket, as bpftrace does. In JSON, completes an object whose start
    /// the caller has written, and ends the line.
    #[inline]
    pub(super) fn show(&self, form: Form, out: &mut dyn fmt::Write) -> fmt::Result {
        if form == Form::Json {
            let around = ["\"buckets\":[", ",", "]}\n"];
            return join(out, around, self.iter(), |out, (min, max, n)| {
                write!(out, "{{\"min\":{min},\"max\":{max},\"count\":{n}}}")
            });
        }
        let most = self.iter().map(|(_, _, n)| n).fold(1, u64::max);
        for (min, max, count) in self.iter() {
            let mut range = Buffer::<48>::new();
            self.buckets.write_range(&mut range, min, max)?;
            let length = BAR.len() as u64;
            // The kernel cannot divide a `u128`.
            let filled = match count.checked_mul(length) {
                Some(product) => product / most,
                None => count.checked_div(most / length).unwrap_or(0),
            };
            let bar = BAR.get(..filled as usize).unwrap_or(BAR);
            writeln!(out, "{:<16}{count:>8} |{bar:<52}|", range.as_str())?;
        }
        Ok(())
    }
}

impl Buckets {
    /// Writes the range of a bucket, as bpftrace does: `[2, 4)`, `[1K, 2K)`, `[100, ...)`.
    #[inline]
    fn write_range(self, out: &mut dyn fmt::Write, min: u64, max: u64) -> fmt::Result {
        match (self.step, min, max) {
            (0, min, max) if min == max => write!(out, "[{min}]"),
            (0, ..) => {
                const UNITS: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];
                let power = |n: u32| (1 << (n % 10), UNITS[n as usize / 10 % UNITS.len()]);
                let exponent = min.checked_ilog2().unwrap_or(0);
                let (low, unit) = power(exponent);
                write!(out, "[{low}{unit}, ")?;
                let (high, unit): (u32, _) = power(exponent + 1);
                write!(out, "{high}{unit})")
            }
            (_, 0, max) if max == self.min.wrapping_sub(1) => write!(out, "(..., {})", self.min),
            (_, min, u64::MAX) => write!(out, "[{min}, ...)"),
            (_, min, max) => write!(out, "[{min}, {})", max + 1),
        }
    }
}
