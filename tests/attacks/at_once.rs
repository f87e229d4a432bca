// SPDX-License-Identifier: GPL-2.0

//! Threads toggle, ask and drop one probe, whose last reference goes in any of them.

// case dropped: harmless
// says: shared: \d+ hits, 0 missed
// case each_other: harmless

use super::*;

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let mut kept = Kept::new();
    match case {
        b"dropped" => {
            let probe = shared(Kprobe::new(PLACE, Counts::new("shared")))?;
            for n in 0..6 {
                let probe = probe.clone();
                thread(&mut kept, move || {
                    for _ in 0..n {
                        let _ = (probe.disable(), probe.enable());
                        fsleep(Delta::from_millis(1));
                    }
                    drop(probe);
                })?;
            }
        }
        // Each drops what the other is about to ask.
        b"each_other" => {
            for _ in 0..4 {
                let other = || shared(Kprobe::new(OTHER, Nop));
                let (one, other) = (other()?, other()?);
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
