// SPDX-License-Identifier: GPL-2.0
// error: a Handler needs pre or post
// A probe without a callback is a mistake.

use kernel::prelude::*;
use kprobes::{kprobe, Kprobe, Target};

pub struct Nothing;

#[vtable]
impl kprobe::Handler for Nothing {}

pub fn register() -> Result<Pin<KBox<Kprobe<Nothing>>>> {
    KBox::pin_init(Kprobe::new(Target::symbol(c"f"), Nothing), GFP_KERNEL)
}
