// SPDX-License-Identifier: GPL-2.0
// error: no method named `arg` found
// After the instruction the registers need not hold the arguments any more.

use kernel::prelude::*;
use kprobes::{kprobe, Context, Post};

pub struct After;

#[vtable]
impl kprobe::Handler for After {
    fn post(&self, cx: &Context<'_, Post>) {
        let _: u32 = cx.arg(0);
    }
}
