// SPDX-License-Identifier: GPL-2.0
// error: cannot be shared between threads safely
// What the entry hands to the return is not the context of the entry.

use kernel::prelude::*;
use kprobes::{kretprobe, Context, Return};

pub struct Keeps;

#[vtable]
impl kretprobe::Handler for Keeps {
    type Data = &'static Context<'static>;

    fn entry(&self, cx: &'static Context<'static>) -> Option<&'static Context<'static>> {
        Some(cx)
    }

    fn ret(&self, _cx: &Context<'_, Return>, _data: &'static Context<'static>) {}
}
