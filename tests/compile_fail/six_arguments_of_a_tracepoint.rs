// SPDX-License-Identifier: GPL-2.0
// error: a tracepoint's first five arguments at most
// The sixth is on the stack.

use kernel::prelude::*;
use kprobes::{tracepoint, Context, Trace, Tracepoint};

pub struct Six;

impl tracepoint::Handler for Six {
    type Args = (u8, u8, u8, u8, u8, u8);

    fn hit(&self, _cx: &Context<'_, Trace>, _args: Self::Args) {}
}

pub fn register() -> Result<Pin<KBox<Tracepoint<Six>>>> {
    KBox::pin_init(Tracepoint::new(c"x", Six), GFP_KERNEL)
}
