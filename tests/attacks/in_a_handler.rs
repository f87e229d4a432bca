// SPDX-License-Identifier: GPL-2.0

//! What takes a mutex and waits, in a handler or under a lock.

// case disable: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// says: inner: CALLS hits, 0 missed
// held: 2
// case enable: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// says: inner: 0 hits, 0 missed
// held: 2
// case register: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// held: 1
// case register_return: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// held: 1
// case register_at_return: harmless
// says: EDEADLK
// says: outer: CALLS returns, 0 missed
// held: 1
// case register_set: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// held: 1
// case counters: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// held: 1
// case tracepoint: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// held: 1
// case watch: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// held: 1
// case in_tracepoint: harmless
// says: EDEADLK
// held: 0
// case locked: refused EDEADLK
// case rcu: refused EDEADLK

#![forbid(unsafe_code)]

use super::{just, keep, Counts, Does, Kept, Nop, OTHER, PLACE};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{atomic::*, Arc}, //
};
use kprobes::{Kprobe, KprobeSet, Kretprobe, ModuleWatch, PerCpuCounts, Target, Tracepoint};

/// Says how it ended, the first time.
fn once(what: impl Fn() -> Result + Send + Sync + 'static) -> impl Fn() + Send + Sync + 'static {
    let done = Atomic::new(false);
    move || {
        if !done.xchg(true, Relaxed) {
            match what() {
                Ok(()) => pr_info!("done\n"),
                Err(error) => pr_info!("{error:?}\n"),
            }
        }
    }
}

/// Does it in the handler of a kprobe.
fn in_kprobe(kept: &mut Kept, what: impl Fn() -> Result + Send + Sync + 'static) -> Result {
    let outer = Kprobe::new(PLACE, Does::new("outer", once(what)));
    keep(kept, KBox::pin_init(outer, GFP_KERNEL)?)
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let mut kept = Kept::new();
    match case {
        b"disable" | b"enable" => {
            let inner = Arc::pin_init(Kprobe::new(OTHER, Counts::new("inner")), GFP_KERNEL)?;
            let known = inner.clone();
            if case == b"enable" {
                inner.disable()?;
                in_kprobe(&mut kept, move || known.enable())?;
            } else {
                in_kprobe(&mut kept, move || known.disable())?;
            }
            keep(&mut kept, inner)?;
        }
        b"register" => in_kprobe(&mut kept, || {
            KBox::pin_init(Kprobe::new(OTHER, Nop), GFP_ATOMIC).map(drop)
        })?,
        b"register_return" => in_kprobe(&mut kept, || {
            KBox::pin_init(Kretprobe::new(OTHER, Nop), GFP_ATOMIC).map(drop)
        })?,
        b"register_at_return" => {
            let register = || KBox::pin_init(Kprobe::new(OTHER, Nop), GFP_ATOMIC).map(drop);
            let outer = Kretprobe::new(PLACE, Does::new("outer", once(register)));
            keep(&mut kept, KBox::pin_init(outer, GFP_KERNEL)?)?;
        }
        b"register_set" => in_kprobe(&mut kept, || {
            let targets = [OTHER, OTHER];
            KBox::pin_init(KprobeSet::new(&targets, Nop), GFP_ATOMIC).map(drop)
        })?,
        b"counters" => in_kprobe(&mut kept, || PerCpuCounts::<8>::new().map(drop))?,
        b"tracepoint" => in_kprobe(&mut kept, || {
            KBox::pin_init(Tracepoint::new(c"sched_process_fork", Nop), GFP_ATOMIC).map(drop)
        })?,
        b"watch" => in_kprobe(&mut kept, || {
            KBox::pin_init(ModuleWatch::new(Nop), GFP_ATOMIC).map(drop)
        })?,
        b"in_tracepoint" => {
            // A tracepoint that user programs pass with preemption on.
            let register = || KBox::pin_init(Kprobe::new(OTHER, Nop), GFP_ATOMIC).map(drop);
            let outer = Tracepoint::new(c"sys_enter", Does::new("outer", once(register)));
            keep(&mut kept, KBox::pin_init(outer, GFP_KERNEL)?)?;
        }
        b"locked" => {
            let lock = KBox::pin_init(new_spinlock!(0), GFP_KERNEL)?;
            let _guard = lock.lock();
            return just(KBox::pin_init(Kprobe::new(PLACE, Nop), GFP_ATOMIC)?);
        }
        b"rcu" => {
            let _guard = kernel::sync::rcu::read_lock();
            let target = Target::symbol(c"kernel_clone");
            return just(KBox::pin_init(Kprobe::new(target, Nop), GFP_ATOMIC)?);
        }
        _ => return Err(ENOTTY),
    }
    Ok(kept)
}
