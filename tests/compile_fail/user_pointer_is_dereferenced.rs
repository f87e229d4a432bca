// SPDX-License-Identifier: GPL-2.0
// error: type `nofault::UserPtr<u32>` cannot be dereferenced
// A program chooses where it points.

use kernel::prelude::*;
use kprobes::{kprobe, nofault::UserPtr, Context};

struct Reads;

#[vtable]
impl kprobe::Handler for Reads {
    fn pre(&self, cx: &Context<'_>) {
        let pointer: UserPtr<u32> = cx.arg(0);
        let _ = *pointer;
    }
}
