// SPDX-License-Identifier: GPL-2.0
// error: cannot move out of `probe` because it is borrowed
// What can be asked of a probe is not asked when it is gone.

use kernel::prelude::*;
use kprobes::{kprobe, Context, Kprobe, Target};

pub struct Good;

#[vtable]
impl kprobe::Handler for Good {
    fn pre(&self, _cx: &Context<'_>) {}
}

pub fn ask() -> Result<usize> {
    let probe = KBox::pin_init(Kprobe::new(Target::symbol(c"f"), Good), GFP_KERNEL)?;
    let registered = probe.registered();
    drop(probe);
    Ok(registered.missed())
}
