// SPDX-License-Identifier: GPL-2.0
// error: no method named `ret` found
// There is no result before the function has run.

use kernel::prelude::*;
use kprobes::{kprobe, Context};

struct Early;

#[vtable]
impl kprobe::Handler for Early {
    fn pre(&self, cx: &Context<'_>) {
        let _: u32 = cx.ret();
    }
}
