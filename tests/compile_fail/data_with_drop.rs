// SPDX-License-Identifier: GPL-2.0
// error: Box<u64, Kmalloc>: Copy` is not satisfied
// The kernel discards the data of a call that never returns.

use kernel::prelude::*;
use kprobes::{kretprobe, Context, Return};

struct Leaks;

#[vtable]
impl kretprobe::Handler for Leaks {
    type Data = KBox<u64>;

    fn ret(&self, _cx: &Context<'_, Return>, _data: KBox<u64>) {}
}
