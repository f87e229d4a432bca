// SPDX-License-Identifier: GPL-2.0
// This one compiles, so the others fail because of what they add to it.

use kernel::prelude::*;
use kprobes::{kprobe, kretprobe, Kprobe, Target};

const __LOG_PREFIX: &[u8] = b"control\0";

struct Good;

#[vtable]
impl kprobe::Handler for Good {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        pr_info!("{}\n", cx.arg0::<u32>());
    }
}

#[vtable]
impl kretprobe::Handler for Good {
    type Data = u64;

    fn entry(&self, _cx: &kretprobe::Context<'_>) -> Option<u64> {
        Some(1)
    }

    fn ret(&self, _cx: &kretprobe::ReturnContext<'_>, _data: u64) {}
}

pub fn register() -> Result<Pin<KBox<Kprobe<Good>>>> {
    KBox::pin_init(Kprobe::new(Target::symbol(c"f"), Good), GFP_KERNEL)
}
