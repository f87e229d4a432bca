// SPDX-License-Identifier: GPL-2.0
// error: lifetime may not live long enough
// Calls may be in flight when the probe and its handler go.

use kernel::prelude::*;
use kprobes::{kretprobe, Context, Count, Return};

pub struct Keeps(Count);

#[vtable]
impl kretprobe::Handler for Keeps {
    type Data = &'static Count;

    fn entry(&self, _cx: &Context<'_>) -> Option<&'static Count> {
        Some(&self.0)
    }

    fn ret(&self, _cx: &Context<'_, Return>, data: &'static Count) {
        data.add(1);
    }
}
