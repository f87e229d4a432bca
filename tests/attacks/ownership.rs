// SPDX-License-Identifier: GPL-2.0

//! Probes that own other probes or themselves.

// case nested: harmless
// says: level 4: CALLS hits, 0 missed
// says: level 3: CALLS hits, 0 missed
// says: level 2: CALLS hits, 0 missed
// says: level 1: CALLS hits, 0 missed
// says: level 0: CALLS hits, 0 missed
// held: 5
// races
// case cycle: harmless
// says: 1 probe at __x64_sys_getpriority\+0x\w+/0x\w+ was never dropped; unregistering it
// held: 1
// races
// case references_forgotten: harmless
// says: 1 probe at __x64_sys_setpriority\+0x\w+/0x\w+ was never dropped; unregistering it
// held: 2
// case last_at_return: stopped attacks: probe dropped in atomic context
// case own_last_reference: stopped attacks: probe dropped in atomic context

use super::*;

/// May own a reference to a probe, even to its own.
struct Refers(SetOnce<Arc<Kprobe<Refers>>>);

#[vtable]
impl kprobe::Handler for Refers {
    fn pre(&self, _cx: &kprobe::Context<'_>) {}
}

fn refers(target: Target<'_>) -> Result<Arc<Kprobe<Refers>>> {
    shared(Kprobe::new(target, Refers(SetOnce::new())))
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"nested" => {
            let mut next: Option<KBox<dyn Held>> = None;
            for name in ["level 0", "level 1", "level 2", "level 3", "level 4"] {
                let owns = move || {
                    let _ = &next;
                };
                let probe = boxed(Kprobe::new(PLACE, at_end(name, owns)))?;
                next = Some(KBox::new(probe, GFP_KERNEL)?);
            }
            keep_one(next)
        }
        b"cycle" => {
            let probe = refers(PLACE)?;
            probe.handler().0.populate(probe.clone());
            keep_one(probe)
        }
        b"references_forgotten" => {
            // Each hit leaks a reference.
            let shared = shared(Kprobe::new(OTHER, Nop))?;
            let known = shared.clone();
            let mut kept = keep_one(shared)?;
            let forgets = move || mem::forget(known.clone());
            add(&mut kept, Kretprobe::new(PLACE, calls("", forgets)))?;
            Ok(kept)
        }
        b"last_at_return" => {
            let last = Drops::new()?;
            last.fill(shared(Kprobe::new(OTHER, Nop))?)?;
            one(Kretprobe::new(PLACE, last))
        }
        b"own_last_reference" => {
            let itself = Drops::new()?;
            itself.fill(shared(Kprobe::new(PLACE, itself.clone()))?)?;
            Ok(Kept::new())
        }
        _ => Err(ENOTTY),
    }
}
