// SPDX-License-Identifier: GPL-2.0
// error: field `slot` of struct
// There is no probe that was not registered.

use kernel::prelude::*;
use kprobes::{kprobe, Context, Kprobe};

pub struct Good;

#[vtable]
impl kprobe::Handler for Good {
    fn pre(&self, _cx: &Context<'_>) {}
}

pub fn make() -> Kprobe<Good> {
    Kprobe { slot: loop {} }
}
