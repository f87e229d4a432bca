// SPDX-License-Identifier: GPL-2.0

//! Data from the entry to the return: types with niches, padding or references, and the largest.

// case niches: harmless
// says: niches: CALLS right, 0 wrong, 0 missed
// races
// case large: harmless
// says: large: CALLS right, 0 wrong, 0 missed
// races
// case empty: harmless
// says: empty: CALLS right, 0 wrong, 0 missed
// case largest_max_active: harmless
// says: 65535
// says: many_active: CALLS right, 0 wrong, 0 missed
// case killed_in_flight: harmless
// says: killed: [1-9]\d* right, 0 wrong, \d+ missed

use super::*;
use core::num::NonZero;

/// Data that is made from a number, and compared with data from that number.
trait Carried: Copy + PartialEq + Send + 'static {
    fn of(n: u64) -> Self;

    fn is(&self, n: u64) -> bool {
        *self == Self::of(n)
    }
}

static WORDS: [&str; 3] = ["one", "two", "three"];

/// A type with padding and with invalid bit patterns.
#[derive(Clone, Copy, PartialEq)]
struct Niches {
    valid: bool,
    odd: Option<NonZero<u8>>,
    word: &'static str,
    order: core::cmp::Ordering,
    function: Option<&'static fn(u64) -> u64>,
    maybe: Option<&'static str>,
    user: UserPtr<u32>,
}

static NEXT: fn(u64) -> u64 = |n| n.wrapping_add(1);

impl Carried for Niches {
    fn of(n: u64) -> Self {
        Self {
            valid: n % 2 == 0,
            odd: NonZero::new((n % 2) as u8),
            word: WORDS[(n % 3) as usize],
            order: n.cmp(&1),
            function: Some(&NEXT),
            maybe: (n % 2 == 0).then_some("some"),
            user: UserPtr::new(n as usize),
        }
    }

    fn is(&self, n: u64) -> bool {
        *self == Self::of(n) && self.function.map(|next| next(n)) == Some(n.wrapping_add(1))
    }
}

#[derive(Clone, Copy, PartialEq)]
struct Large([u8; 4096]);

impl Carried for Large {
    // Avoid copies: they would be on the stack of the probed code.
    #[inline(always)]
    fn of(n: u64) -> Self {
        Self([n as u8; 4096])
    }

    fn is(&self, n: u64) -> bool {
        self.0.iter().all(|&byte| byte == n as u8)
    }
}

impl Carried for () {
    fn of(_n: u64) {}
}

/// Carries data made from the thread's PID, which differs between calls.
struct Carries<T: Carried> {
    name: &'static str,
    right: Count,
    wrong: Count,
    _data: core::marker::PhantomData<fn() -> T>,
}

impl<T: Carried> Carries<T> {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            right: Count::new(),
            wrong: Count::new(),
            _data: core::marker::PhantomData,
        }
    }
}

#[vtable]
impl<T: Carried> kretprobe::Handler for Carries<T> {
    type Data = T;

    fn entry(&self, cx: &kretprobe::Context<'_>) -> Option<T> {
        Some(T::of(cx.pid() as u64))
    }

    fn ret(&self, cx: &kretprobe::ReturnContext<'_>, data: T) {
        let right = data.is(cx.pid() as u64);
        [&self.wrong, &self.right][usize::from(right)].add(1);
    }

    fn unregistered(&self, missed: u64) {
        let (name, right, wrong) = (self.name, self.right.get(), self.wrong.get());
        pr_info!("{name}: {right} right, {wrong} wrong, {missed} missed\n");
    }
}

fn active(calls: u16) -> kretprobe::Options {
    kretprobe::Options::default().max_active(calls)
}

fn carries<T: Carried>(calls: u16, name: &'static str) -> Result<Kept> {
    let carries = Carries::<T>::new(name);
    one(Kretprobe::with_options(PLACE, active(calls), carries))
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"niches" => carries::<Niches>(64, "niches"),
        b"large" => carries::<Large>(64, "large"),
        b"empty" => carries::<()>(64, "empty"),
        b"largest_max_active" => {
            let carries = Carries::<Niches>::new("many_active");
            let probe = boxed(Kretprobe::with_options(PLACE, active(u16::MAX), carries))?;
            pr_info!("{}\n", probe.max_active());
            keep_one(probe)
        }
        // Tasks exit in these functions, or are in them when the probe is unregistered.
        b"killed_in_flight" => {
            let carries = Carries::<Niches>::new("killed");
            let targets = [c"do_exit", c"do_group_exit", c"schedule", c"do_wait"];
            let targets = targets.map(Target::symbol);
            one(KretprobeSet::with_options(&targets, active(4), carries))
        }
        _ => Err(ENOTTY),
    }
}
