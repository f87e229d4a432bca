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
// says: inner: CALLS hits, 0 missed
// says: return: CALLS returns, 0 missed
// says: outer: CALLS hits, 0 missed
// held: 4
// case forgets: harmless
// says: outer: CALLS hits, 0 missed
// says: 1 probe at __x64_sys_setpriority\+0x\w+/0x\w+ was never dropped; unregistering it

use super::*;

/// Makes probes, for another probe's `unregistered()` to drop.
fn others() -> Result<Kept> {
    let targets = [OTHER, NOWHERE, NOWHERE];
    let options = kprobe::Options::default().partial();
    let inner = Counts::new("inner");
    let mut kept = one(KprobeSet::with_options(&targets, options, inner))?;
    add(&mut kept, KprobeSet::new(&targets[..1], Nop))?;
    add(&mut kept, Kretprobe::new(OTHER, Counts::new("return")))?;
    add(&mut kept, Tracepoint::new(c"sched_process_exit", Nop))?;
    Ok(kept)
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    fn with(what: impl Fn() + Send + Sync + 'static) -> Result<Kept> {
        one(Kprobe::new(PLACE, at_end("outer", what)))
    }
    match case {
        b"registers" => with(|| drop(counting(OTHER, "inner"))),
        b"toggles" => {
            let inner = shared(Kprobe::new(OTHER, Counts::new("inner")))?;
            let known = inner.clone();
            let mut kept = with(move || {
                for _ in 0..10 {
                    assert!(known.disable().is_ok() && known.enable().is_ok());
                }
            })?;
            keep(&mut kept, inner)?;
            Ok(kept)
        }
        b"drops" => {
            let drops = Drops::new()?;
            drops.fill(others()?)?;
            with(move || drops.hit())
        }
        b"forgets" => with(|| drop(forget(Kprobe::new(OTHER, Nop)))),
        _ => Err(ENOTTY),
    }
}
