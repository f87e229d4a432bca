// SPDX-License-Identifier: GPL-2.0
// error: no method named `ret` found
// The function has not run yet.

use kprobes::{entry, AtEntry, Context};

struct Wants;

impl entry::Handler for Wants {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        let _: u64 = cx.ret();
    }
}
