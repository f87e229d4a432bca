// SPDX-License-Identifier: GPL-2.0

//! `unregistered()` registers, drops and forgets other probes.

// case registers: harmless
// says: inner: 0 hits, 0 missed
// says: outer: CALLS hits, 0 missed
// case toggles: harmless
// says: outer: CALLS hits, 0 missed
// says: inner: CALLS hits, 0 missed
// held: 2
// case drops: harmless
// says: set: CALLS hits, 0 missed
// says: return: CALLS returns, 0 missed
// says: outer: CALLS hits, 0 missed
// held: 4
// case forgets: harmless
// says: outer: CALLS hits, 0 missed
// says: left registered: 1 at __x64_sys_setpriority\+0x\w+/0x\w+; unregistered now
// case again: harmless
// says: level 0
// says: level 1
// says: level 2
// says: level 3

#![forbid(unsafe_code)]

use super::{counting, just, Counts, Kept, Nop, OTHER, PLACE};
use core::mem;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex}, //
};
use kprobes::{kprobe, Context, Count, Kprobe, KprobeSet, Kretprobe, Tracepoint};

/// Does something when it is unregistered.
struct Finally<F: Fn() + Send + Sync + 'static>(Count, F);

#[vtable]
impl<F: Fn() + Send + Sync + 'static> kprobe::Handler for Finally<F> {
    fn pre(&self, _cx: &Context<'_>) {
        self.0.add(1);
    }

    fn unregistered(&self, missed: usize) {
        (self.1)();
        pr_info!("outer: {} hits, {missed} missed\n", self.0.get());
    }
}

/// Registers one of its kind when it is unregistered, up to a depth.
struct Again(u32);

#[vtable]
impl kprobe::Handler for Again {
    fn pre(&self, _cx: &Context<'_>) {}

    fn unregistered(&self, _missed: usize) {
        pr_info!("level {}\n", self.0);
        if self.0 < 3 {
            let next = KBox::pin_init(Kprobe::new(PLACE, Again(self.0 + 1)), GFP_KERNEL);
            assert!(next.is_ok());
        }
    }
}

/// What is dropped by another's `unregistered()`.
#[pin_data]
struct Others {
    #[pin]
    held: Mutex<Option<Kept>>,
}

fn others() -> Result<Kept> {
    let mut kept = Kept::new();
    let targets = [OTHER, OTHER];
    let set = KprobeSet::new(&targets, Half(Count::new()));
    super::keep(&mut kept, KBox::pin_init(set, GFP_KERNEL)?)?;
    let ret = Kretprobe::new(OTHER, Counts::new("return"));
    super::keep(&mut kept, KBox::pin_init(ret, GFP_KERNEL)?)?;
    let trace = Tracepoint::new(c"sched_process_exit", Nop);
    super::keep(&mut kept, KBox::pin_init(trace, GFP_KERNEL)?)?;
    Ok(kept)
}

/// Two members at one place are hit twice.
struct Half(Count);

#[vtable]
impl kprobe::Handler for Half {
    fn pre(&self, _cx: &Context<'_>) {
        self.0.add(1);
    }

    fn unregistered(&self, missed: usize) {
        pr_info!("set: {} hits, {missed} missed\n", self.0.get() / 2);
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    fn with(what: impl Fn() + Send + Sync + 'static) -> Result<Kept> {
        let outer = Kprobe::new(PLACE, Finally(Count::new(), what));
        just(KBox::pin_init(outer, GFP_KERNEL)?)
    }
    match case {
        b"registers" => with(|| drop(counting(OTHER, "inner"))),
        b"toggles" => {
            let inner = Arc::pin_init(Kprobe::new(OTHER, Counts::new("inner")), GFP_KERNEL)?;
            let known = inner.clone();
            let mut kept = with(move || {
                for _ in 0..10 {
                    assert!(known.disable().is_ok() && known.enable().is_ok());
                }
            })?;
            super::keep(&mut kept, inner)?;
            Ok(kept)
        }
        b"drops" => {
            let held = Some(others()?);
            let init = pin_init!(Others { held <- new_mutex!(held) });
            let others = Arc::pin_init(init, GFP_KERNEL)?;
            with(move || drop(others.held.lock().take()))
        }
        b"forgets" => with(|| {
            if let Ok(probe) = KBox::pin_init(Kprobe::new(OTHER, Nop), GFP_KERNEL) {
                mem::forget(probe);
            }
        }),
        b"again" => just(KBox::pin_init(Kprobe::new(PLACE, Again(0)), GFP_KERNEL)?),
        _ => Err(ENOTTY),
    }
}
