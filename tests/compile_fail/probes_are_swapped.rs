// SPDX-License-Identifier: GPL-2.0
// error: cannot borrow data in dereference of
// Two registered probes do not change places.

use core::mem;
use kernel::prelude::*;
use kprobes::{kprobe, Context, KprobeSet};

pub struct Good;

#[vtable]
impl kprobe::Handler for Good {
    fn pre(&self, _cx: &Context<'_>) {}
}

pub fn swap(mut one: Pin<KBox<KprobeSet<Good>>>, mut other: Pin<KBox<KprobeSet<Good>>>) {
    mem::swap(&mut *one, &mut *other);
}
