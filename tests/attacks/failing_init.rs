// SPDX-License-Identifier: GPL-2.0

//! Initialisations that fail when probes are registered already.

// case by_the_module: refused EIO
// says: first: 0 hits, 0 missed
// says: second: 0 hits, 0 missed
// case chained: refused EIO
// says: chained: 0 hits, 0 missed
// case chained_set: refused EIO
// says: chained: 0 hits, 0 missed
// case array: refused ENOENT
// says: member: 0 hits, 0 missed
// says: member: 0 hits, 0 missed
// says: member: 0 hits, 0 missed
// case fields: refused ENOENT
// says: second: 0 hits, 0 missed
// says: first: 0 returns, 0 missed
// case handler: refused EIO
// case possible: refused ENOENT
// says: possible: 0 returns, 0 missed
// case possible_and_forgotten: refused EIO
// says: left registered: 1 at __x64_sys_setpriority\+0x\w+/0x\w+; unregistered now

#![forbid(unsafe_code)]

use super::{counting, just, Counts, Kept, Nop, OTHER, PLACE};
use core::mem;
use kernel::prelude::*;
use kprobes::{kprobe, Context, Kprobe, KprobeSet, Kretprobe, KretprobeSet, Target};
use pin_init::pin_init_array_from_fn;

const NOWHERE: Target<'static> = Target::symbol(c"no_such_function");

/// Probes in one piece of memory.
#[pin_data]
struct Fields {
    #[pin]
    first: Kretprobe<Counts>,
    #[pin]
    second: Kprobe<Counts>,
    #[pin]
    third: Kprobe<Counts>,
}

/// A handler that cannot be made.
#[pin_data]
struct Broken {
    #[pin]
    inner: Kprobe<Nop>,
    never: u32,
}

#[vtable]
impl kprobe::Handler for Broken {
    fn pre(&self, _cx: &Context<'_>) {}
}

fn never() -> Result<u32> {
    Err(EIO)
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let targets = [PLACE, OTHER, NOWHERE, PLACE];
    match case {
        b"by_the_module" => {
            let _second = counting(PLACE, "second")?;
            let _first = counting(OTHER, "first")?;
            Err(EIO)
        }
        b"chained" => {
            let probe = Kprobe::new(PLACE, Counts::new("chained")).pin_chain(|_| Err(EIO));
            let probe: Pin<KBox<Kprobe<Counts>>> = KBox::pin_init(probe, GFP_KERNEL)?;
            just(probe)
        }
        b"chained_set" => {
            let set = KprobeSet::new(&targets[..2], Counts::new("chained"));
            let set = set.pin_chain(|_| Err(EIO.into()));
            let set: Pin<KBox<KprobeSet<Counts>>> = KBox::pin_init(set, GFP_KERNEL)?;
            just(set)
        }
        b"array" => {
            let array = pin_init_array_from_fn::<_, 8, _, Error>(|n| {
                let target = if n < 3 { PLACE } else { NOWHERE };
                Kprobe::new(target, Counts::new("member"))
            });
            just(KBox::pin_init(array, GFP_KERNEL)?)
        }
        b"fields" => {
            let fields = try_pin_init!(Fields {
                first <- Kretprobe::new(PLACE, Counts::new("first")),
                second <- Kprobe::new(PLACE, Counts::new("second")),
                third <- Kprobe::new(NOWHERE, Counts::new("third")),
            });
            just(KBox::pin_init(fields, GFP_KERNEL)?)
        }
        b"handler" => {
            let handler = try_pin_init!(Broken {
                inner <- Kprobe::new(PLACE, Nop),
                never: never()?,
            });
            just(KBox::pin_init(Kprobe::new(OTHER, handler), GFP_KERNEL)?)
        }
        b"possible" => {
            let set = KretprobeSet::where_possible(&targets, 0, Counts::new("possible"));
            let set: Pin<KBox<KretprobeSet<Counts>>> = KBox::pin_init(set, GFP_KERNEL)?;
            let refused = set.refused().next();
            match refused {
                Some(refusal) => Err(refusal.error()),
                None => just(set),
            }
        }
        b"possible_and_forgotten" => {
            let set = KprobeSet::where_possible(&targets[1..3], Nop);
            mem::forget(KBox::pin_init(set, GFP_KERNEL)?);
            Err(EIO)
        }
        _ => Err(ENOTTY),
    }
}
