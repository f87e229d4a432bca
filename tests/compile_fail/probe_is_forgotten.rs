// SPDX-License-Identifier: GPL-2.0
// error: that must be used
// A probe that is not stored is unregistered immediately.

#![deny(unused_must_use)]

use kernel::prelude::*;
use kprobes::{kprobe, Kprobe, Target};

pub struct Good;

#[vtable]
impl kprobe::Handler for Good {
    fn pre(&self, _cx: &kprobe::Context<'_>) {}
}

pub fn register() {
    Kprobe::new(Target::symbol(c"f"), Good);
}
