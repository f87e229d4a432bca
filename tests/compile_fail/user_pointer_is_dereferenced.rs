// SPDX-License-Identifier: GPL-2.0
// error: type `UserPtr<u32>` cannot be dereferenced
// It points where a program says.

use kernel::prelude::*;
use kprobes::{Context, Handler, UserPtr};

struct Reads;

#[vtable]
impl Handler for Reads {
    fn pre(&self, cx: &Context<'_>) {
        let pointer: UserPtr<u32> = cx.arg(0);
        let _ = *pointer;
    }
}
