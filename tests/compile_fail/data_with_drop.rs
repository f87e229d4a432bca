// SPDX-License-Identifier: GPL-2.0
// error: Box<u64, Kmalloc>: Copy` is not satisfied
// The kernel forgets the data of a call that never returns.

use kernel::prelude::*;
use kprobes::{Context, Return, ReturnHandler};

struct Leaks;

#[vtable]
impl ReturnHandler for Leaks {
    type Data = KBox<u64>;

    fn ret(&self, _cx: &Context<'_, Return>, _data: KBox<u64>) {}
}
