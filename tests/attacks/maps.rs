// SPDX-License-Identifier: GPL-2.0

//! Maps that are too large, full, or used and dropped in the wrong place; inconsistent keys; wraps.

// case used_while_dropped: harmless
// says: own_drop: CALLS and 1, then 2
// races
// case inconsistent_keys: harmless
// says: lies: CALLS added, CALLS taken, kept or refused
// says: \(out of memory\)
// races
// case counts_wrap: harmless
// says: wraps: 8589934590, 1, 0
// says: wraps: CALLS less than none
// races
// case used_in_its_update: harmless
// says: in_update: Some\(1\), 3 dropped
// says: within: 1 hits, 0 missed
// case too_large: harmless
// says: huge: Some\(ENOMEM\), Some\(ENOMEM\), Some\(EINVAL\)
// case dropped_in_handler: harmless
// case large_dropped_in_handler: complains BUG: sleeping function called from invalid context

use super::*;
use collect::{
    Form,
    Key,
    Show, //
};
use core::fmt;

/// Calls the first function on the maps at each hit, and the second one when it is dropped.
struct Uses<M: Held + 'static>(M, fn(&M), fn(&M));

#[vtable]
impl<M: Held + 'static> entry::Handler for Uses<M> {
    fn entry(&self, _cx: &entry::Context<'_>) {
        self.1(&self.0);
    }
}

impl<M: Held + 'static> Drop for Uses<M> {
    fn drop(&mut self) {
        self.2(&self.0);
    }
}

fn uses<M: Held + 'static>(maps: M, hit: fn(&M), end: fn(&M)) -> Result<Kept> {
    one(Entry::new(PLACE, Uses(maps, hit, end)))
}

/// A key with different words at each call.
#[derive(Clone, Copy)]
struct Lies;

static WORDS: Count = Count::new();

impl Key for Lies {
    type Words = (u64, [u64; 2]);

    fn words(self) -> Self::Words {
        WORDS.add(1);
        (WORDS.get() % 3, [WORDS.get() / 5, 0])
    }

    fn from_words(_words: Self::Words) -> Self {
        Self
    }
}

impl Show for Lies {
    fn show(&self, _form: Form, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

/// A function with a probe.
#[inline(never)]
fn called() {
    core::hint::black_box(&mut [0; 3]);
}

fn total<K: Key>(map: &CountMap<K>) -> u64 {
    map.read().total().wrapping_add(map.dropped())
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"used_while_dropped" => uses(
            CountMap::<()>::new(1)?,
            |map| map.add((), 1),
            |map| {
                let hits = total(map);
                map.add((), 1);
                let drained = map.drain().map_or(0, |entries| entries.total());
                map.add((), 2);
                pr_info!(
                    "own_drop: {hits} and {}, then {}\n",
                    drained - hits,
                    total(map)
                );
            },
        ),
        b"inconsistent_keys" => uses(
            (
                CountMap::<Lies>::new(20)?,
                Map::<Lies, u64>::new(20)?,
                Count::new(),
            ),
            |(counts, map, other)| {
                counts.add(Lies, 1);
                other.add((!map.update(Lies, 1, |n| *n += 1)).into());
                other.add(map.take(Lies).unwrap_or(0));
            },
            |(counts, map, other)| {
                map.retain(|_, n| {
                    other.add(n);
                    false
                });
                let (added, other) = (total(counts), other.get());
                pr_info!("lies: {added} added, {other} taken, kept or refused\n");
                log!(counts);
            },
        ),
        b"counts_wrap" => {
            let map = CountMap::<u32>::new(3)?;
            map.add(0, u32::MAX.into());
            map.add(0, u32::MAX.into());
            map.add(1, u64::MAX);
            map.add(1, 2);
            let entries = map.drain()?;
            map.add(0, u64::MAX);
            map.add(1, 1);
            let (large, wrapped) = (entries.get(0), entries.get(1));
            pr_info!("wraps: {large}, {wrapped}, {}\n", total(&map));
            uses(
                CountMap::<u32>::new(1)?,
                |map| map.add(0, u64::MAX),
                |map| {
                    let count = map.read().get(0).wrapping_add(map.dropped());
                    pr_info!("wraps: {} less than none\n", count.wrapping_neg());
                },
            )
        }
        b"used_in_its_update" => {
            let map = Arc::new(Map::<u32, u32>::new(4)?, GFP_KERNEL)?;
            let same = map.clone();
            let within = calls("within", move || {
                same.update(7, 1, |n| *n = 100);
                same.take(7);
            });
            let probe = boxed(Kprobe::new(
                Target::address(called as *const () as usize),
                within,
            ))?;
            map.insert(7, 0);
            map.update(7, 0, |n| {
                called();
                map.insert(7, 200);
                map.clear();
                *n += 1;
            });
            pr_info!("in_update: {:?}, {} dropped\n", map.get(7), map.dropped());
            keep_one(probe)
        }
        b"too_large" => {
            let most = 1 << 24;
            let errors = (
                HistogramMap::<u64>::with_buckets(most, Buckets::LOG2).err(),
                Map::<u64, [u64; 200]>::new(most).err(),
                CountMap::<u64>::new(usize::MAX).err(),
            );
            pr_info!("huge: {:?}, {:?}, {:?}\n", errors.0, errors.1, errors.2);
            Ok(Kept::new())
        }
        b"dropped_in_handler" | b"large_dropped_in_handler" => {
            let places = if case.starts_with(b"large") {
                1 << 20
            } else {
                2
            };
            let drops = Drops::new()?;
            drops.fill((CountMap::<u8>::new(places)?, Map::<u8, u8>::new(places)?))?;
            one(Entry::new(PLACE, drops))
        }
        _ => Err(ENOTTY),
    }
}
