// SPDX-License-Identifier: GPL-2.0
// error: cannot borrow data in a `&` reference as mutable
// Nobody has the handler for himself while the probe is registered.

use kernel::prelude::*;
use kprobes::{kprobe, Context, Kprobe, Target};

pub struct Counts(u64);

impl Counts {
    fn reset(&mut self) {
        self.0 = 0;
    }
}

#[vtable]
impl kprobe::Handler for Counts {
    fn pre(&self, _cx: &Context<'_>) {}
}

pub fn change() -> Result {
    let probe = KBox::pin_init(Kprobe::new(Target::symbol(c"f"), Counts(0)), GFP_KERNEL)?;
    probe.handler().reset();
    Ok(())
}
