// SPDX-License-Identifier: GPL-2.0
// error: Box<Kprobe<Good>, Kmalloc>: Clone`
// A probe is registered once.

use kernel::prelude::*;
use kprobes::{kprobe, Context, Kprobe};

pub struct Good;

#[vtable]
impl kprobe::Handler for Good {
    fn pre(&self, _cx: &Context<'_>) {}
}

pub fn copy(probe: Pin<KBox<Kprobe<Good>>>) -> Pin<KBox<Kprobe<Good>>> {
    probe.clone()
}
