// SPDX-License-Identifier: GPL-2.0
// error: no method named `arg` found
// By then, the function has used the CPU registers for something else.

use kernel::prelude::*;
use kprobes::{kretprobe, Context, Return};

struct Late;

#[vtable]
impl kretprobe::Handler for Late {
    type Data = ();

    fn ret(&self, cx: &Context<'_, Return>, _data: ()) {
        let _: u32 = cx.arg(0);
    }
}
