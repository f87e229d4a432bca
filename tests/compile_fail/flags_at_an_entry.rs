// SPDX-License-Identifier: GPL-2.0
// error: `AtEntry: Probed`
// ftrace does not save the flags.

use kprobes::{entry, AtEntry, Context};

struct Wants;

impl entry::Handler for Wants {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        let _ = cx.flags();
    }
}
