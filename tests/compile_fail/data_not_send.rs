// SPDX-License-Identifier: GPL-2.0
// error: `Cell<u64>` cannot be shared between threads safely
// A call may return on another CPU than the one on which it was entered.

use core::cell::Cell;
use kernel::prelude::*;
use kprobes::{kretprobe, Context, Return};

pub struct Keeps;

#[vtable]
impl kretprobe::Handler for Keeps {
    type Data = Option<&'static Cell<u64>>;

    fn entry(&self, _cx: &Context<'_>) -> Option<Option<&'static Cell<u64>>> {
        None
    }

    fn ret(&self, _cx: &Context<'_, Return>, _data: Option<&'static Cell<u64>>) {}
}
