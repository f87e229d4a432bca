// SPDX-License-Identifier: GPL-2.0

//! Events, and probes that they arm: forgotten, dropped and made where they must not be.

// case forgotten: harmless
// says: left registered: 1 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now
// held: 1
// case forgotten_by_init: refused ENODEV
// says: left registered: 1 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now
// case forgotten_twice: harmless
// says: left registered: 1 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now
// says: left registered: 1 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now
// held: 2
// case made_in_a_handler: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// held: 1
// case made_after_the_exit: harmless
// says: made
// says: ENODEV
// says: left registered: a watch for modules that go; unregistered now
// says: left registered: 1 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now
// case enabled_by_hand: harmless
// says: by hand: CALLS hits, 0 missed
// held: 1
// case dropped_in_a_handler: stopped attacks: a probe is dropped in a handler, .*; stopped before it is freed

#![forbid(unsafe_code)]

use super::{just, keep, Counts, Does, Held, Kept, Nop, PLACE};
use core::mem;
use kernel::{new_mutex, prelude::*, sync::Arc, sync::Mutex};
use kprobes::{event::Armed, Kprobe, ModuleWatch, Tracepoint};

kprobes::trace_event! {
    struct Hit = "attacks:hit" {
        n: u32,
    }
}

type Probe = Pin<KBox<Armed<Kprobe<Nop>>>>;

fn armed() -> Result<Probe> {
    KBox::pin_init(Hit::arms(Kprobe::new(PLACE.disabled(), Nop)), GFP_KERNEL)
}

/// Says how it ended, as often as it is called, up to twice.
fn says(what: impl Fn() -> Result) {
    match what() {
        Ok(()) => pr_info!("made\n"),
        Err(error) => pr_info!("{error:?}\n"),
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"forgotten" => mem::forget(armed()?),
        b"forgotten_by_init" => {
            mem::forget(armed()?);
            return Err(ENODEV);
        }
        b"forgotten_twice" => {
            mem::forget(armed()?);
            mem::forget(armed()?);
        }
        b"made_in_a_handler" => {
            let done = kernel::sync::atomic::Atomic::new(false);
            let make = move || {
                if !done.xchg(true, kernel::sync::atomic::Relaxed) {
                    says(|| {
                        let tracepoint = Tracepoint::new(c"sched_process_fork", Nop);
                        KBox::pin_init(Hit::arms(tracepoint), GFP_ATOMIC).map(drop)
                    });
                }
            };
            let outer = Kprobe::new(PLACE, Does::new("outer", make));
            return just(KBox::pin_init(outer, GFP_KERNEL)?);
        }
        // When init is done, and when the module goes, after its exit.
        b"made_after_the_exit" => {
            let watch = ModuleWatch::new(Does::new("watch", || {
                says(|| {
                    mem::forget(armed()?);
                    Ok(())
                });
            }));
            mem::forget(KBox::pin_init(watch, GFP_KERNEL)?);
        }
        b"enabled_by_hand" => {
            let probe = Hit::arms(Kprobe::new(PLACE.disabled(), Counts::new("by hand")));
            let probe = KBox::pin_init(probe, GFP_KERNEL)?;
            probe.enable()?;
            return just(probe);
        }
        b"dropped_in_a_handler" => {
            let mut kept = Kept::new();
            // The type of the probe makes symbols too long for objtool.
            let inner: KBox<dyn Held> = KBox::new(armed()?, GFP_KERNEL)?;
            let inner: Arc<Mutex<_>> = Arc::pin_init(new_mutex!(Some(inner)), GFP_KERNEL)?;
            let of_handler = inner.clone();
            let drops = move || {
                if let Some(mut inner) = of_handler.try_lock() {
                    drop(inner.take());
                }
            };
            let outer = Kprobe::new(PLACE, Does::new("outer", drops));
            keep(&mut kept, KBox::pin_init(outer, GFP_KERNEL)?)?;
            return Ok(kept);
        }
        _ => return Err(ENOTTY),
    }
    Ok(Kept::new())
}
