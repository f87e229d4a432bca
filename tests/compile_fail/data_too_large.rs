// SPDX-License-Identifier: GPL-2.0
// error: kretprobe::Handler::Data is larger than KRETPROBE_MAX_DATA_SIZE
// The kernel would refuse to register the probe.

use kernel::prelude::*;
use kprobes::{kretprobe, Context, Kretprobe, Return, Target};

pub struct Large;

#[vtable]
impl kretprobe::Handler for Large {
    type Data = [u8; 4097];

    fn entry(&self, _cx: &Context<'_>) -> Option<[u8; 4097]> {
        None
    }

    fn ret(&self, _cx: &Context<'_, Return>, _data: [u8; 4097]) {}
}

pub fn register() -> Result<Pin<KBox<Kretprobe<Large>>>> {
    KBox::pin_init(Kretprobe::new(Target::symbol(c"f"), Large), GFP_KERNEL)
}
