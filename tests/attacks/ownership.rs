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
// says: 1 probe at __x64_sys_getpriority\+0x\w+/0x\w+ was never dropped; unregistering it
// held: 1
// races
// case references_forgotten: harmless
// says: 1 probe at __x64_sys_setpriority\+0x\w+/0x\w+ was never dropped; unregistering it
// held: 2
// case last_at_return: stopped attacks: probe dropped in atomic context
// case own_last_reference: stopped attacks: probe dropped in atomic context

use super::*;

/// May have a reference to a probe, itself perhaps.
struct Knows(SetOnce<Arc<Kprobe<Knows>>>);

#[vtable]
impl kprobe::Handler for Knows {
    fn pre(&self, _cx: &kprobe::Context<'_>) {}
}

fn knows(target: Target<'_>) -> Result<Arc<Kprobe<Knows>>> {
    shared(Kprobe::new(target, Knows(SetOnce::new())))
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"nested" => {
            let mut next: Option<KBox<dyn Held>> = None;
            for name in ["level 0", "level 1", "level 2", "level 3", "level 4"] {
                // Each owns the one of the last level.
                let owns = move || {
                    let _ = &next;
                };
                let probe = made(Kprobe::new(PLACE, finally(name, owns)))?;
                next = Some(KBox::new(probe, GFP_KERNEL)?);
            }
            just(next)
        }
        b"cycle" => {
            let probe = knows(PLACE)?;
            probe.handler().0.populate(probe.clone());
            just(probe)
        }
        b"references_forgotten" => {
            // A reference more with each hit, which nobody gives back.
            let shared = shared(Kprobe::new(OTHER, Nop))?;
            let known = shared.clone();
            let mut kept = just(shared)?;
            let forgets = move || mem::forget(known.clone());
            add(&mut kept, Kretprobe::new(PLACE, does("", forgets)))?;
            Ok(kept)
        }
        b"last_at_return" => {
            let last = Empties::new()?;
            last.fill(shared(Kprobe::new(OTHER, Nop))?)?;
            one(Kretprobe::new(PLACE, last))
        }
        b"own_last_reference" => {
            let itself = Empties::new()?;
            itself.fill(shared(Kprobe::new(PLACE, itself.clone()))?)?;
            Ok(Kept::new())
        }
        _ => Err(ENOTTY),
    }
}
