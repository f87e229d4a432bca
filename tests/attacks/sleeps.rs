// SPDX-License-Identifier: GPL-2.0

//! A handler that sleeps. The library cannot prevent this; the debug kernel reports it.

// case in_kprobe: complains BUG: scheduling while atomic
// case in_entry: complains BUG: scheduling while atomic
// case allocates: complains BUG: sleeping function called from invalid context

use super::*;

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let sleeps = || fsleep(Delta::from_millis(1));
    let allocates = || drop(KBox::new([0u64; 8], GFP_KERNEL));
    match case {
        b"in_kprobe" => one(Kprobe::new(PLACE, calls("sleeps", sleeps))),
        b"in_entry" => one(Entry::new(PLACE, calls("sleeps", sleeps))),
        b"allocates" => one(Kprobe::new(PLACE, calls("allocates", allocates))),
        _ => Err(ENOTTY),
    }
}
