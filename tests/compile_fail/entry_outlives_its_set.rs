// SPDX-License-Identifier: GPL-2.0
// error: cannot move out of `set` because it is borrowed
// A probe of a set goes with the set.

use kernel::prelude::*;
use kprobes::{entry, AtEntry, Context, EntrySet};

pub struct Good;

impl entry::Handler for Good {
    fn entry(&self, _cx: &Context<'_, AtEntry>) {}
}

pub fn ask() -> Result {
    let set = KBox::pin_init(EntrySet::matching(c"vfs_*", Good), GFP_KERNEL)?;
    let probe = set.get(0).ok_or(EINVAL)?;
    drop(set);
    probe.enable()
}
