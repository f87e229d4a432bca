// SPDX-License-Identifier: GPL-2.0
// error: `AtEntry: Probed`
// ftrace saves the arguments; other CPU registers are not those of the function.

use kprobes::{entry, regs::Register, AtEntry, Context};

struct Wants(Register);

impl entry::Handler for Wants {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        let _ = cx.register(self.0);
    }
}
