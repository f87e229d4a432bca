// SPDX-License-Identifier: GPL-2.0
// error: cannot move out of `probe` because it is borrowed
// A reference to a registered probe does not outlive it.

use kernel::prelude::*;
use kprobes::{kprobe, Context, Kprobe, Probe, Target};

pub struct Good;

#[vtable]
impl kprobe::Handler for Good {
    fn pre(&self, _cx: &Context<'_>) {}
}

pub fn ask() -> Result<usize> {
    let probe = KBox::pin_init(Kprobe::new(Target::symbol(c"f"), Good), GFP_KERNEL)?;
    let reference: &Probe = &probe;
    drop(probe);
    Ok(reference.missed())
}
