// SPDX-License-Identifier: GPL-2.0
// error: borrowed data escapes outside of method
// What a context points at is valid only until the handler returns.

use kernel::prelude::*;
use kprobes::{kprobe, Context};

fn keep(_cx: &'static Context<'static>) {}

struct Keeps;

#[vtable]
impl kprobe::Handler for Keeps {
    fn pre(&self, cx: &Context<'_>) {
        keep(cx);
    }
}
