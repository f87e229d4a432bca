// SPDX-License-Identifier: GPL-2.0
// error: cannot be unpinned
// The table has the address of the probe.

use kernel::prelude::*;
use kprobes::{entry, AtEntry, Context, Entry};

pub struct Good;

impl entry::Handler for Good {
    fn entry(&self, _cx: &Context<'_, AtEntry>) {}
}

pub fn swap(a: &mut Pin<KBox<Entry<Good>>>, b: &mut Pin<KBox<Entry<Good>>>) {
    core::mem::swap(a.as_mut().get_mut(), b.as_mut().get_mut());
}
