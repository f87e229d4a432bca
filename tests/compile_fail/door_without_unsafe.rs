// SPDX-License-Identifier: GPL-2.0
// error: call to unsafe function `Context::<'_, At>::set_register` is unsafe and requires unsafe
// What the probed code makes of it, nobody checks.

use kernel::prelude::*;
use kprobes::{Context, Handler, Register};

struct Sets;

#[vtable]
impl Handler for Sets {
    fn pre(&self, cx: &Context<'_>) {
        cx.set_register(Register::Ip, 0);
    }
}
