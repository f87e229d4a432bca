// SPDX-License-Identifier: GPL-2.0
// error: `Cell<u32>` cannot be shared between threads safely
// Handlers run on several CPUs at once.

use core::cell::Cell;
use kprobes::{entry, AtEntry, Context};

struct Counts(Cell<u32>);

impl entry::Handler for Counts {
    fn entry(&self, _cx: &Context<'_, AtEntry>) {
        self.0.set(self.0.get() + 1);
    }
}
