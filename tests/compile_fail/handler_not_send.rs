// SPDX-License-Identifier: GPL-2.0
// error: `*mut u32` cannot be sent between threads safely
// A probe may be dropped by another task than the one that created it.

use kernel::prelude::*;
use kprobes::{kprobe, Context};

struct Holds(*mut u32);

#[vtable]
impl kprobe::Handler for Holds {
    fn pre(&self, _cx: &Context<'_>) {}
}
