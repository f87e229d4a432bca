// SPDX-License-Identifier: GPL-2.0

//! The handler of a watch makes and drops things, when this module's own init is done.

// case makes_a_watch: harmless
// says: EDEADLK
// case makes_a_probe: harmless
// says: within: 0 hits, 0 missed
// says: done
// case drops_a_probe: harmless
// says: dropped: 0 hits, 0 missed
// case toggles: harmless
// says: done
// case drops_itself: stopped attacks: ModuleWatch dropped in the handler of a ModuleWatch

use super::*;

fn watch(what: impl Fn() -> Result + Send + Sync + 'static) -> Result<Kept> {
    one(ModuleWatch::new(Does::new("", once(what))))
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"makes_a_watch" => watch(|| made(ModuleWatch::new(Nop)).map(drop)),
        b"makes_a_probe" => watch(|| counting(OTHER, "within").map(drop)),
        b"drops_a_probe" => {
            let drops = Empties::of(Kprobe::new(OTHER, Counts::new("dropped")))?;
            one(ModuleWatch::new(drops))
        }
        b"toggles" => {
            let probe = made(Kprobe::new(PLACE, Nop))?;
            watch(move || probe.disable().and_then(|()| probe.enable()))
        }
        b"drops_itself" => {
            let drops = Empties::new()?;
            drops.fill(made(ModuleWatch::new(drops.clone()))?)?;
            Ok(Kept::new())
        }
        _ => Err(ENOTTY),
    }
}
