// SPDX-License-Identifier: GPL-2.0
// error: rust_build_error
// The seventh argument is on the stack.

use kernel::prelude::*;
use kprobes::{kprobe, Context, Kprobe, Target};

pub struct Seventh(pub u64);

#[vtable]
impl kprobe::Handler for Seventh {
    fn pre(&self, cx: &Context<'_>) {
        if cx.arg::<u64>(6) == self.0 {
            panic!();
        }
    }
}

pub fn register() -> Result<Pin<KBox<Kprobe<Seventh>>>> {
    KBox::pin_init(Kprobe::new(Target::symbol(c"f"), Seventh(7)), GFP_KERNEL)
}
