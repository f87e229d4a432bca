// SPDX-License-Identifier: GPL-2.0
// error: call to unsafe function `Context::<'_, At>::set_register` is unsafe and requires unsafe
// Nobody checks what the probed code does with it.

use kernel::prelude::*;
use kprobes::{kprobe, regs::Register, Context};

struct Sets;

#[vtable]
impl kprobe::Handler for Sets {
    fn pre(&self, cx: &Context<'_>) {
        cx.set_register(Register::Ip, 0);
    }
}
