// SPDX-License-Identifier: GPL-2.0

//! Probes that own probes, and each other.

// case nested: harmless
// says: level 4: CALLS hits, 0 missed
// says: level 3: CALLS hits, 0 missed
// says: level 2: CALLS hits, 0 missed
// says: level 1: CALLS hits, 0 missed
// says: level 0: CALLS hits, 0 missed
// held: 5
// races
// case cycle: harmless
// says: left registered: 1 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now
// held: 1
// races
// case two_in_a_cycle: harmless
// says: left registered: 1 at __x64_sys_setpriority\+0x\w+/0x\w+; unregistered now
// says: left registered: 1 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now
// held: 2
// case shared: harmless
// says: owner: CALLS hits, 0 missed
// says: shared: CALLS hits, 0 missed
// held: 2
// case references_forgotten: harmless
// says: left registered: 1 at __x64_sys_setpriority\+0x\w+/0x\w+; unregistered now
// held: 2
// case last_at_return: stopped attacks: a probe is dropped in a handler, .*; stopped before it is freed
// case own_last_reference: stopped attacks: a probe is dropped in a handler, .*; stopped before it is freed

#![forbid(unsafe_code)]

use super::{just, keep, Counts, Does, Held, Kept, Nop, OTHER, PLACE};
use core::mem;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{Arc, SetOnce, SpinLock}, //
};
use kprobes::{kprobe, Context, Count, Kprobe, Kretprobe};

/// Has another, of the next level, which has another.
struct Level {
    level: u32,
    hits: Count,
    _next: Option<KBox<dyn Held>>,
}

#[vtable]
impl kprobe::Handler for Level {
    fn pre(&self, _cx: &Context<'_>) {
        self.hits.add(1);
    }

    fn unregistered(&self, missed: usize) {
        pr_info!(
            "level {}: {} hits, {missed} missed\n",
            self.level,
            self.hits.get()
        );
    }
}

/// May have a reference to a probe, itself perhaps.
struct Knows(SetOnce<Arc<Kprobe<Knows>>>);

#[vtable]
impl kprobe::Handler for Knows {
    fn pre(&self, _cx: &Context<'_>) {}
}

type Shared = Arc<Kprobe<Counts>>;

/// The last reference to itself.
#[pin_data]
struct Itself {
    #[pin]
    held: SpinLock<Option<Arc<Kprobe<Itself>>>>,
}

#[vtable]
impl kprobe::Handler for Itself {
    fn pre(&self, _cx: &Context<'_>) {
        let held = self.held.try_lock().and_then(|mut held| held.take());
        drop(held);
    }
}

fn shared() -> Result<Shared> {
    Arc::pin_init(Kprobe::new(OTHER, Counts::new("shared")), GFP_KERNEL)
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let knows = || Kprobe::new(PLACE, Knows(SetOnce::new()));
    match case {
        b"nested" => {
            let mut next: Option<KBox<dyn Held>> = None;
            for level in 0..5 {
                let handler = Level {
                    level,
                    hits: Count::new(),
                    _next: next,
                };
                let probe = KBox::pin_init(Kprobe::new(PLACE, handler), GFP_KERNEL)?;
                next = Some(KBox::new(probe, GFP_KERNEL)?);
            }
            just(next)
        }
        b"cycle" => {
            let probe = Arc::pin_init(knows(), GFP_KERNEL)?;
            let itself = Arc::clone(&probe);
            probe.handler().0.populate(itself);
            just(probe)
        }
        b"two_in_a_cycle" => {
            let one = Arc::pin_init(knows(), GFP_KERNEL)?;
            let other = Arc::pin_init(Kprobe::new(OTHER, Knows(SetOnce::new())), GFP_KERNEL)?;
            one.handler().0.populate(Arc::clone(&other));
            other.handler().0.populate(Arc::clone(&one));
            just((one, other))
        }
        b"shared" => {
            // The handler's reference is the last, and goes when that has been unregistered.
            let shared = shared()?;
            let owner = Does::new("owner", move || {
                let _ = shared.handler();
            });
            just(KBox::pin_init(Kprobe::new(PLACE, owner), GFP_KERNEL)?)
        }
        b"references_forgotten" => {
            // A reference more with each hit, which nobody gives back.
            let shared = Arc::pin_init(Kprobe::new(OTHER, Nop), GFP_KERNEL)?;
            let known = Arc::clone(&shared);
            let mut kept = just(shared)?;
            let forgets = Kretprobe::new(PLACE, Forgets(known));
            keep(&mut kept, KBox::pin_init(forgets, GFP_KERNEL)?)?;
            Ok(kept)
        }
        b"last_at_return" => {
            let probe = KBox::pin_init(Kretprobe::new(PLACE, GivesLater::new()), GFP_KERNEL)?;
            *probe.handler().held.lock() = Some(shared()?);
            just(probe)
        }
        b"own_last_reference" => {
            let itself = pin_init!(Itself { held <- new_spinlock!(None) });
            let probe = Arc::pin_init(Kprobe::new(PLACE, itself), GFP_KERNEL)?;
            let reference = Arc::clone(&probe);
            *probe.handler().held.lock() = Some(reference);
            drop(probe);
            just(())
        }
        _ => Err(ENOTTY),
    }
}

/// Forgets a reference at each return.
struct Forgets(Arc<Kprobe<Nop>>);

#[vtable]
impl kprobes::kretprobe::Handler for Forgets {
    type Data = ();

    fn ret(&self, _cx: &Context<'_, kprobes::Return>, _data: ()) {
        mem::forget(self.0.clone());
    }
}

/// Has the last reference to a probe, which it gives back at the return.
#[pin_data]
struct GivesLater {
    #[pin]
    held: SpinLock<Option<Shared>>,
}

impl GivesLater {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self { held <- new_spinlock!(None) })
    }
}

#[vtable]
impl kprobes::kretprobe::Handler for GivesLater {
    type Data = ();

    fn ret(&self, _cx: &Context<'_, kprobes::Return>, _data: ()) {
        let held = self.held.try_lock().and_then(|mut held| held.take());
        drop(held);
    }
}
