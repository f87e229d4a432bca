// SPDX-License-Identifier: GPL-2.0
// error: call to unsafe function `Context::<'_, At>::set_register` is unsafe and requires unsafe
// What the probed code makes of it, nobody checks.

use kernel::prelude::*;
use kprobes::{kprobe, regs::Register, Context};

struct Sets;

#[vtable]
impl kprobe::Handler for Sets {
    fn pre(&self, cx: &Context<'_>) {
        cx.set_register(Register::Ip, 0);
    }
}
