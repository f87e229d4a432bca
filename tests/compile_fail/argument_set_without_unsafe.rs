// SPDX-License-Identifier: GPL-2.0
// error: is unsafe and requires unsafe
// Nobody checks what the function does with it.

use kprobes::{entry, AtEntry, Context};

struct Sets;

impl entry::Handler for Sets {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        cx.set_arg(0, 0);
    }
}
