// SPDX-License-Identifier: GPL-2.0

//! What a return handler carries from the entry to the return: types with values
//! that they must not have, padding, references, as large as it may be.

// case niches: harmless
// says: niches: CALLS right, 0 wrong, 0 missed
// races
// case large: harmless
// says: large: CALLS right, 0 wrong, 0 missed
// races
// case empty: harmless
// says: empty: CALLS right, 0 wrong, 0 missed
// case aligned: harmless
// says: aligned: CALLS right, 0 wrong, 0 missed
// case set: harmless
// says: large: CALLS right, 0 wrong, 0 missed
// held: 1
// case many_active: harmless
// says: many_active: 65535
// says: niches: CALLS right, 0 wrong, 0 missed
// case default_active: harmless
// says: niches: CALLS right, 0 wrong, 0 missed
// case killed_in_flight: harmless

#![forbid(unsafe_code)]

use super::{just, Kept, PLACE};
use core::num::NonZero;
use kernel::prelude::*;
use kprobes::{
    kretprobe, nofault::UserPtr, Context, Count, Kretprobe, KretprobeSet, Return, Target,
};

static WORDS: [&str; 3] = ["one", "two", "three"];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Odd(NonZero<u8>),
    Even(&'static str, char),
    Neither,
}

/// With padding, and values that are none.
#[derive(Clone, Copy)]
struct Niches {
    valid: bool,
    kind: Kind,
    word: &'static str,
    order: core::cmp::Ordering,
    function: fn(u64) -> u64,
    maybe: Option<&'static str>,
    user: UserPtr<u32>,
}

fn next(n: u64) -> u64 {
    n.wrapping_add(1)
}

/// Data that can be made of a number, and compared with it.
trait Carried: Copy + Send + 'static {
    const NAME: &'static str;
    fn of(n: u64) -> Self;
    fn is(&self, n: u64) -> bool;
}

impl Carried for Niches {
    const NAME: &'static str = "niches";

    fn of(n: u64) -> Self {
        let kind = match n % 3 {
            0 => Kind::Odd(NonZero::<u8>::MIN),
            1 => Kind::Even(WORDS[1], 'é'),
            _ => Kind::Neither,
        };
        Self {
            valid: n % 2 == 0,
            kind,
            word: WORDS[(n % 3) as usize],
            order: n.cmp(&1),
            function: next,
            maybe: (n % 2 == 0).then_some("some"),
            user: UserPtr::new(n as usize),
        }
    }

    fn is(&self, n: u64) -> bool {
        let other = Self::of(n);
        self.valid == other.valid
            && self.kind == other.kind
            && self.word == other.word
            && self.order == other.order
            && (self.function)(n) == n.wrapping_add(1)
            && self.maybe == other.maybe
            && self.user == other.user
    }
}

/// As large as it may be.
#[derive(Clone, Copy)]
struct Large([u8; 4096]);

impl Carried for Large {
    const NAME: &'static str = "large";

    // By a reference, as far as that goes: this lies on the stack of the probed code, more than once.
    #[inline(always)]
    fn of(n: u64) -> Self {
        Self([n as u8; 4096])
    }

    fn is(&self, n: u64) -> bool {
        self.0.iter().all(|&byte| byte == n as u8)
    }
}

/// With a value, and no content.
#[derive(Clone, Copy)]
struct Empty;

impl Carried for Empty {
    const NAME: &'static str = "empty";

    fn of(_n: u64) -> Self {
        Self
    }

    fn is(&self, _n: u64) -> bool {
        true
    }
}

/// With the alignment of the kernel's words, and a size that is none.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Aligned(u8);

impl Carried for Aligned {
    const NAME: &'static str = "aligned";

    fn of(n: u64) -> Self {
        Self(n as u8)
    }

    fn is(&self, n: u64) -> bool {
        (&raw const *self).addr() % 8 == 0 && self.0 == n as u8
    }
}

/// Carries what it makes of the thread's stack pointer, which differs between calls.
struct Carries<T: Carried> {
    right: Count,
    wrong: Count,
    _data: core::marker::PhantomData<fn() -> T>,
}

impl<T: Carried> Carries<T> {
    fn new() -> Self {
        Self {
            right: Count::new(),
            wrong: Count::new(),
            _data: core::marker::PhantomData,
        }
    }
}

#[vtable]
impl<T: Carried> kretprobe::Handler for Carries<T> {
    type Data = T;

    fn entry(&self, cx: &Context<'_>) -> Option<T> {
        Some(T::of(cx.pid() as u64))
    }

    fn ret(&self, cx: &Context<'_, Return>, data: T) {
        if data.is(cx.pid() as u64) {
            self.right.add(1);
        } else {
            self.wrong.add(1);
        }
    }

    fn unregistered(&self, missed: usize) {
        let (right, wrong) = (self.right.get(), self.wrong.get());
        pr_info!(
            "{}: {right} right, {wrong} wrong, {missed} missed\n",
            T::NAME
        );
    }
}

/// Says nothing of what it saw: that is anybody's.
struct Waits;

#[vtable]
impl kretprobe::Handler for Waits {
    type Data = Niches;

    fn entry(&self, _cx: &Context<'_>) -> Option<Niches> {
        Some(Niches::of(1))
    }

    fn ret(&self, _cx: &Context<'_, Return>, data: Niches) {
        assert!(data.is(1));
    }
}

fn carries<T: Carried>(max_active: u16) -> Result<Kept> {
    let probe = Kretprobe::with_max_active(PLACE, max_active, Carries::<T>::new());
    just(KBox::pin_init(probe, GFP_KERNEL)?)
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"niches" => carries::<Niches>(64),
        b"large" => carries::<Large>(64),
        b"empty" => carries::<Empty>(64),
        b"aligned" => carries::<Aligned>(64),
        b"set" => {
            let targets = [PLACE];
            let set = KretprobeSet::new(&targets, 1, Carries::<Large>::new());
            just(KBox::pin_init(set, GFP_KERNEL)?)
        }
        b"many_active" => {
            let probe = Kretprobe::with_max_active(PLACE, u16::MAX, Carries::<Niches>::new());
            let probe = KBox::pin_init(probe, GFP_KERNEL)?;
            pr_info!("many_active: {}\n", probe.max_active());
            just(probe)
        }
        b"default_active" => carries::<Niches>(0),
        // Tasks end while they are in it, or are in it when the probe goes.
        b"killed_in_flight" => {
            let targets = [
                Target::symbol(c"do_exit"),
                Target::symbol(c"do_group_exit"),
                Target::symbol(c"schedule"),
                Target::symbol(c"do_wait"),
            ];
            let set = KretprobeSet::new(&targets, 4, Waits);
            just(KBox::pin_init(set, GFP_KERNEL)?)
        }
        _ => Err(ENOTTY),
    }
}
