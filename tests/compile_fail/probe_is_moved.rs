// SPDX-License-Identifier: GPL-2.0
// error: cannot be unpinned
// The kernel keeps the probe's address.

use kernel::prelude::*;
use kprobes::{kprobe, Context, Kprobe};

pub struct Good;

#[vtable]
impl kprobe::Handler for Good {
    fn pre(&self, _cx: &Context<'_>) {}
}

pub fn swap(a: &mut Pin<KBox<Kprobe<Good>>>, b: &mut Pin<KBox<Kprobe<Good>>>) {
    core::mem::swap(a.as_mut().get_mut(), b.as_mut().get_mut());
}
