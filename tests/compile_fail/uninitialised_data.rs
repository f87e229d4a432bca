// SPDX-License-Identifier: GPL-2.0
// error: rust_build_error
// Without an entry handler, the data would be uninitialised.

use kernel::prelude::*;
use kprobes::{kretprobe, Kretprobe, Target};

pub struct Unwritten;

#[vtable]
impl kretprobe::Handler for Unwritten {
    type Data = u64;

    fn ret(&self, _cx: &kretprobe::ReturnContext<'_>, _data: u64) {}
}

pub fn register() -> Result<Pin<KBox<Kretprobe<Unwritten>>>> {
    KBox::pin_init(Kretprobe::new(Target::symbol(c"f"), Unwritten), GFP_KERNEL)
}
