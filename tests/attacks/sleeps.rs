// SPDX-License-Identifier: GPL-2.0

//! A handler that sleeps. That cannot be prevented; the debug kernel tells of it.

// case in_kprobe: complains BUG: scheduling while atomic
// case allocates: complains BUG: sleeping function called from invalid context

#![forbid(unsafe_code)]

use super::{just, Does, Kept, PLACE};
use kernel::{
    prelude::*,
    time::{delay::fsleep, Delta}, //
};
use kprobes::Kprobe;

fn sleep() {
    fsleep(Delta::from_millis(1));
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"in_kprobe" => {
            let probe = Kprobe::new(PLACE, Does::new("sleeps", sleep));
            just(KBox::pin_init(probe, GFP_KERNEL)?)
        }
        b"allocates" => {
            let allocate = || drop(KBox::new([0u64; 8], GFP_KERNEL));
            let probe = Kprobe::new(PLACE, Does::new("allocates", allocate));
            just(KBox::pin_init(probe, GFP_KERNEL)?)
        }
        _ => Err(ENOTTY),
    }
}
