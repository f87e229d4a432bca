// SPDX-License-Identifier: GPL-2.0

//! Numbers at their limits.

// case rates: harmless
// says: CALLS events: \[0, CALLS, 1, 0\]
// races
// case one_place: harmless
// says: all: \d+ hits, \d+ missed
// held: 500
// case shown: harmless
// says: 0: '.*' 1: 'k\.\.\.' 12: 'kernel_clone' 13: 'kernel_clone'
// case mechanism: harmless
// case times: harmless
// says: times: 0 returns, 0 missed

use super::*;
use pin_init::pin_init_array_from_fn;

/// Limits with the smallest and the largest numbers.
#[pin_data]
struct Rates {
    #[pin]
    limits: [RateLimit; 4],
    events: Count,
    passed: [Count; 4],
}

const RATES: [(u32, u32); 4] = [(u32::MAX, 0), (0, u32::MAX), (u32::MAX, 1), (1, 0)];

#[vtable]
impl kprobe::Handler for Rates {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        self.events.add(1);
        for (limit, passed) in self.limits.iter().zip(&self.passed) {
            passed.add(limit.pass().is_some().into());
        }
    }

    fn unregistered(&self, _missed: u64) {
        let passed = self.passed.each_ref().map(Count::get);
        pr_info!("{} events: {passed:?}\n", self.events.get());
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"rates" => {
            let rates = pin_init!(Rates {
                limits <- pin_init_array_from_fn(|n| RateLimit::new(RATES[n].0, RATES[n].1)),
                events: Count::new(),
                passed: [const { Count::new() }; 4],
            });
            return one(Kprobe::new(PLACE, rates));
        }
        b"one_place" => {
            // Not on the stack, which has no room for it.
            static TARGETS: [Target<'static>; 500] = [PLACE; 500];
            return one(KprobeSet::new(&TARGETS, Counts::new("all")));
        }
        b"shown" => {
            let name = KernelStr::new(c"kernel_clone".as_char_ptr() as usize);
            pr_info!(
                "0: '{}' 1: '{}' 12: '{}' 13: '{}'\n",
                name.show::<0>(),
                name.show::<1>(),
                name.show::<12>(),
                name.show::<13>()
            );
        }
        b"mechanism" => {
            let probe = made(Kprobe::new(Target::symbol(c"schedule"), Nop))?;
            for _ in 0..1000 {
                if probe.mechanism() != Mechanism::Ftrace || !probe.is_enabled() {
                    return Err(EIO);
                }
            }
            return just(probe);
        }
        b"times" => return one(Timed::new(PLACE, Follows(Counts::new("times")))),
        _ => return Err(ENOTTY),
    }
    Ok(Kept::new())
}

/// Follows no call but those of a kernel thread.
struct Follows(Counts);

impl timed::Handler for Follows {
    fn entry(&self, cx: &timed::Context<'_>) -> bool {
        cx.is_kernel_thread()
    }

    fn ret(&self, _cx: &timed::ReturnContext<'_>, _ns: u64) {
        self.0.hit();
    }

    fn unregistered(&self, missed: u64) {
        self.0.end("returns", missed);
    }
}
