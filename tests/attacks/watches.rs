// SPDX-License-Identifier: GPL-2.0

//! The handler of a watch makes and drops probes and watches, after this module's init.

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
                log_result(boxed(Pending::<kprobe::Kind, _>::new(&[OTHER], Nop)).map(drop));
                boxed(ModuleWatch::new(Nop)).map(drop)
            };
            one(ModuleWatch::new(calls("", once(make))))
        }
        b"drops_a_probe" => {
            let drops = Drops::of(Kprobe::new(OTHER, Counts::new("dropped")))?;
            one(ModuleWatch::new(drops))
        }
        b"drops_itself" => {
            let drops = Drops::new()?;
            drops.fill(boxed(ModuleWatch::new(drops.clone()))?)?;
            Ok(Kept::new())
        }
        _ => Err(ENOTTY),
    }
}
