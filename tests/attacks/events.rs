// SPDX-License-Identifier: GPL-2.0

//! Events and the probes that they arm: forgotten, dropped, and made where they must not be.

// case forgotten_twice: harmless
// says: 1 probe at __x64_sys_getpriority\+0x\w+/0x\w+ was never dropped; unregistering it
// says: 1 probe at __x64_sys_getpriority\+0x\w+/0x\w+ was never dropped; unregistering it
// held: 2
// case forgotten_by_init: refused ENODEV
// says: 1 probe at __x64_sys_getpriority\+0x\w+/0x\w+ was never dropped; unregistering it
// case created_in_a_handler: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// held: 1
// case created_after_exit: harmless
// says: done
// says: ENODEV
// says: 1 probe at the module notifier \(ModuleWatch\) was never dropped; unregistering it
// says: 1 probe at __x64_sys_getpriority\+0x\w+/0x\w+ was never dropped; unregistering it
// case enabled_by_hand: harmless
// says: by hand: CALLS hits, 0 missed
// held: 1
// case dropped_in_a_handler: stopped attacks: probe dropped in atomic context

use super::*;

kprobes::trace_event! {
    struct Hit = "attacks:hit" {
        n: u32,
    }
}

fn armed<H: kprobe::Handler>(handler: H) -> impl PinInit<Armed<Kprobe<H>>, Error> {
    let disabled = kprobe::Options::default().disabled();
    Hit::arms(Kprobe::with_options(PLACE, disabled, handler))
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"forgotten_twice" => {
            forget(armed(Nop))?;
            forget(armed(Nop))
        }
        b"forgotten_by_init" => {
            forget(armed(Nop))?;
            Err(ENODEV)
        }
        b"created_in_a_handler" => {
            let make = || make_and_drop(Hit::arms(Tracepoint::new(SCHED_FORK, Nop)));
            one(Kprobe::new(PLACE, calls("outer", once(make))))
        }
        // After init, and after the exit when the module is unloaded.
        b"created_after_exit" => {
            let makes = || log_result(forget(armed(Nop)).map(drop));
            forget(ModuleWatch::new(calls("", makes)))
        }
        b"enabled_by_hand" => {
            let probe = boxed(armed(Counts::new("by hand")))?;
            probe.probe().enable()?;
            keep_one(probe)
        }
        b"dropped_in_a_handler" => one(Kprobe::new(PLACE, Drops::of(armed(Nop))?)),
        _ => Err(ENOTTY),
    }
}
