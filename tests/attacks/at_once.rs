// SPDX-License-Identifier: GPL-2.0

//! Threads of the kernel's that toggle, ask and drop one probe, and the last
//! reference of which goes in any of them.

// case toggled: harmless
// says: shared: \d+ hits, 0 missed
// case dropped: harmless
// says: shared: \d+ hits, 0 missed
// case made: harmless
// case each_other: harmless

#![forbid(unsafe_code)]

use super::{keep, Counts, Kept, Nop, OTHER, PLACE};
use core::ops::Deref;
use kernel::{
    prelude::*,
    sync::{Arc, Completion},
    time::{delay::fsleep, Delta},
    workqueue, //
};
use kprobes::{Kprobe, KprobeSet, Kretprobe, ModuleWatch, Tracepoint};

/// Waits for a thread when it is dropped, so that the module's code stays.
struct Thread(Arc<Completion>);

impl Drop for Thread {
    fn drop(&mut self) {
        self.0.wait_for_completion();
        // It has a few instructions yet to run.
        fsleep(Delta::from_millis(50));
    }
}

fn thread(kept: &mut Kept, what: impl FnOnce() + Send + 'static) -> Result {
    let done = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
    let other = done.clone();
    workqueue::system_unbound().try_spawn(GFP_KERNEL, move || {
        what();
        other.complete_all();
    })?;
    keep(kept, Thread(done))
}

fn shared() -> Result<Arc<Kprobe<Counts>>> {
    Arc::pin_init(Kprobe::new(PLACE, Counts::new("shared")), GFP_KERNEL)
}

fn pause() {
    fsleep(Delta::from_millis(1));
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let mut kept = Kept::new();
    match case {
        b"toggled" => {
            let probe = shared()?;
            for n in 0..6 {
                let probe = probe.clone();
                thread(&mut kept, move || {
                    for round in 0..30 {
                        let probe = probe.deref();
                        let _ = match (n + round) % 3 {
                            0 => probe.disable(),
                            1 => probe.enable(),
                            _ => Ok(()),
                        };
                        let _ = (probe.missed(), probe.mechanism(), probe.is_enabled());
                        pause();
                    }
                })?;
            }
        }
        b"dropped" => {
            let probe = shared()?;
            for n in 0..6 {
                let probe = probe.clone();
                thread(&mut kept, move || {
                    for _ in 0..n {
                        let _ = (probe.disable(), probe.enable());
                        pause();
                    }
                    drop(probe);
                })?;
            }
        }
        b"made" => {
            for _ in 0..4 {
                thread(&mut kept, || {
                    let targets = [OTHER, PLACE];
                    for _ in 0..5 {
                        let one = KBox::pin_init(Kprobe::new(PLACE, Nop), GFP_KERNEL);
                        let ret = KBox::pin_init(Kretprobe::new(OTHER, Nop), GFP_KERNEL);
                        let set = KBox::pin_init(KprobeSet::new(&targets, Nop), GFP_KERNEL);
                        let trace = Tracepoint::new(c"sched_process_exit", Nop);
                        let trace = KBox::pin_init(trace, GFP_KERNEL);
                        let watch = KBox::pin_init(ModuleWatch::new(Nop), GFP_KERNEL);
                        pause();
                        drop((set, one, watch, trace, ret));
                    }
                })?;
            }
        }
        // Each drops what the other is about to ask.
        b"each_other" => {
            for _ in 0..4 {
                let (one, other) = (shared_nop()?, shared_nop()?);
                let (first, second) = (one.clone(), other.clone());
                thread(&mut kept, move || {
                    drop(one);
                    let _ = (other.disable(), other.missed(), other.location());
                })?;
                thread(&mut kept, move || {
                    drop(second);
                    let _ = (first.disable(), first.missed(), first.location());
                })?;
            }
        }
        _ => return Err(ENOTTY),
    }
    Ok(kept)
}

fn shared_nop() -> Result<Arc<Kprobe<Nop>>> {
    Arc::pin_init(Kprobe::new(OTHER, Nop), GFP_KERNEL)
}
