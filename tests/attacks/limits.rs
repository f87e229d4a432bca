// SPDX-License-Identifier: GPL-2.0

//! Numbers at their limits.

// case rates: harmless
// says: CALLS events: 0 nothing, CALLS everything, 1 one, 0 never
// races
// case one_place: harmless
// says: \d+ hits
// held: 500
// case empty_set: refused EINVAL
// case empty_return_set: refused EINVAL
// case members: harmless
// says: 2: true true false false
// case shown: harmless
// says: 0: '.*' 1: 'k\.\.\.' 12: 'kernel_clone' 13: 'kernel_clone'
// case mechanism: harmless
// case times: harmless
// says: 0 ns, .*

#![forbid(unsafe_code)]

use super::{just, Kept, OTHER, PLACE};
use kernel::{prelude::*, sync::atomic::*};
use kprobes::{
    kprobe, nofault::KernelStr, Context, Count, Kprobe, KprobeSet, KretprobeSet, Mechanism,
    RateLimit, Target,
};

use super::Nop;

/// Limits with the smallest and the largest numbers.
#[pin_data]
struct Rates {
    #[pin]
    nothing: RateLimit,
    #[pin]
    everything: RateLimit,
    #[pin]
    one: RateLimit,
    #[pin]
    never: RateLimit,
    events: Count,
    passed: [Count; 4],
}

#[vtable]
impl kprobe::Handler for Rates {
    fn pre(&self, _cx: &Context<'_>) {
        self.events.add(1);
        let limits = [&self.nothing, &self.everything, &self.one, &self.never];
        for (limit, passed) in limits.iter().zip(&self.passed) {
            if limit.pass().is_some() {
                passed.add(1);
            }
        }
    }

    fn unregistered(&self, _missed: usize) {
        let [nothing, everything, one, never] = &self.passed;
        pr_info!(
            "{} events: {} nothing, {} everything, {} one, {} never\n",
            self.events.get(),
            nothing.get(),
            everything.get(),
            one.get(),
            never.get()
        );
    }
}

/// Counts for as many probes as there are.
struct Hits(Count);

#[vtable]
impl kprobe::Handler for Hits {
    fn pre(&self, _cx: &Context<'_>) {
        self.0.add(1);
    }

    fn unregistered(&self, _missed: usize) {
        pr_info!("{} hits\n", self.0.get());
    }
}

/// Asks a probe in its own handler, through what the context has.
struct Asks(Atomic<u64>);

#[vtable]
impl kprobe::Handler for Asks {
    fn pre(&self, cx: &Context<'_>) {
        let place = cx.address().location();
        let _ = (place, cx.index(), cx.flags(), cx.euid(), cx.tgid());
        self.0.fetch_add(1, Relaxed);
    }
}

static NAME: &CStr = c"kernel_clone";

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"rates" => {
            let rates = pin_init!(Rates {
                nothing <- RateLimit::new(u32::MAX, 0),
                everything <- RateLimit::new(0, u32::MAX),
                one <- RateLimit::new(u32::MAX, 1),
                never <- RateLimit::new(1, 0),
                events: Count::new(),
                passed: [const { Count::new() }; 4],
            });
            return just(KBox::pin_init(Kprobe::new(PLACE, rates), GFP_KERNEL)?);
        }
        b"one_place" => {
            // Not on the stack, which has no room for it.
            static TARGETS: [Target<'static>; 500] = [PLACE; 500];
            let set = KprobeSet::new(&TARGETS, Hits(Count::new()));
            return just(KBox::pin_init(set, GFP_KERNEL)?);
        }
        b"empty_set" => {
            let set = KprobeSet::new(&[], Hits(Count::new()));
            return just(KBox::pin_init(set, GFP_KERNEL)?);
        }
        b"empty_return_set" => {
            let set = KretprobeSet::new(&[], u16::MAX, Nop);
            return just(KBox::pin_init(set, GFP_KERNEL)?);
        }
        b"members" => {
            let targets = [PLACE, OTHER];
            let set = KBox::pin_init(KprobeSet::new(&targets, Nop), GFP_KERNEL)?;
            let there = |n| set.get(n).is_some();
            pr_info!(
                "{}: {} {} {} {}\n",
                set.len(),
                there(0),
                there(1),
                there(2),
                there(usize::MAX)
            );
            // One member is toggled; the set is dropped all the same.
            set.get(1).ok_or(EIO)?.disable()?;
            return just(set);
        }
        b"shown" => {
            let name = KernelStr::new(NAME.as_char_ptr() as usize);
            pr_info!(
                "0: '{}' 1: '{}' 12: '{}' 13: '{}'\n",
                name.show::<0>(),
                name.show::<1>(),
                name.show::<12>(),
                name.show::<13>()
            );
        }
        b"mechanism" => {
            let probe = Kprobe::new(Target::symbol(c"schedule"), Asks(Atomic::new(0)));
            let probe = KBox::pin_init(probe, GFP_KERNEL)?;
            for _ in 0..1000 {
                if probe.mechanism() != Mechanism::Ftrace || !probe.is_enabled() {
                    return Err(EIO);
                }
            }
            return just(probe);
        }
        b"times" => {
            let probe =
                kprobes::Kretprobe::new(PLACE, kprobes::Timed::new(Longest(Atomic::new(0))));
            return just(KBox::pin_init(probe, GFP_KERNEL)?);
        }
        _ => return Err(ENOTTY),
    }
    Ok(Kept::new())
}

/// Keeps the longest time; follows no call of a kernel thread.
struct Longest(Atomic<u64>);

#[vtable]
impl kprobes::timed::Handler for Longest {
    fn wanted(&self, cx: &Context<'_>) -> bool {
        cx.is_kernel_thread()
    }

    fn ret(&self, _cx: &Context<'_, kprobes::Return>, ns: u64) {
        self.0.store(ns.max(self.0.load(Relaxed)), Relaxed);
    }

    fn unregistered(&self, missed: usize) {
        pr_info!("{} ns, {missed} missed\n", self.0.load(Relaxed));
    }
}
