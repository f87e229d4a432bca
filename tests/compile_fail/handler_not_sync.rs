// SPDX-License-Identifier: GPL-2.0
// error: `Cell<u32>` cannot be shared between threads safely
// Handlers run on several CPUs at once.

use core::cell::Cell;
use kernel::prelude::*;
use kprobes::{kprobe, Context};

struct Counts(Cell<u32>);

#[vtable]
impl kprobe::Handler for Counts {
    fn pre(&self, _cx: &Context<'_>) {
        self.0.set(self.0.get() + 1);
    }
}
