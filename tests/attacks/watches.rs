// SPDX-License-Identifier: GPL-2.0

//! The handler of a watch makes and drops things, when this module's own init is done.

// case creates_a_watch: harmless
// says: EDEADLK
// says: EDEADLK
// case drops_a_probe: harmless
// says: dropped: 0 hits, 0 missed
// case drops_itself: stopped attacks: ModuleWatch dropped in the handler of a ModuleWatch

use super::*;

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"creates_a_watch" => {
            let make = || {
                tell(made(Pending::<kprobe::Kind, _>::new(&[OTHER], Nop)).map(drop));
                made(ModuleWatch::new(Nop)).map(drop)
            };
            one(ModuleWatch::new(does("", once(make))))
        }
        b"drops_a_probe" => {
            let drops = Empties::of(Kprobe::new(OTHER, Counts::new("dropped")))?;
            one(ModuleWatch::new(drops))
        }
        b"drops_itself" => {
            let drops = Empties::new()?;
            drops.fill(made(ModuleWatch::new(drops.clone()))?)?;
            Ok(Kept::new())
        }
        _ => Err(ENOTTY),
    }
}
