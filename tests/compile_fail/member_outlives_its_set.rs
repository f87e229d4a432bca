// SPDX-License-Identifier: GPL-2.0
// error: cannot move out of `set` because it is borrowed
// A member of a set goes with the set.

use kernel::prelude::*;
use kprobes::{kprobe, Context, KprobeSet, Target};

pub struct Good;

#[vtable]
impl kprobe::Handler for Good {
    fn pre(&self, _cx: &Context<'_>) {}
}

pub fn ask() -> Result {
    let targets = [Target::symbol(c"f")];
    let set = KBox::pin_init(KprobeSet::new(&targets, Good), GFP_KERNEL)?;
    let member = set.get(0).ok_or(EINVAL)?;
    drop(set);
    member.enable()
}
