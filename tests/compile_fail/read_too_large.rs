// SPDX-License-Identifier: GPL-2.0
// error: at most 1024 bytes are read at once
// A handler runs on the stack of the probed code, of which little may be left.

use kernel::prelude::*;
use kprobes::{kprobe, nofault::UserPtr, Context, Kprobe, Target};

const __LOG_PREFIX: &[u8] = b"large\0";

pub struct Large;

#[vtable]
impl kprobe::Handler for Large {
    fn pre(&self, cx: &Context<'_>) {
        let _ = cx.arg::<UserPtr<[u8; 20000]>>(0).read();
    }
}

pub fn register() -> Result<Pin<KBox<Kprobe<Large>>>> {
    KBox::pin_init(Kprobe::new(Target::symbol(c"f"), Large), GFP_KERNEL)
}
