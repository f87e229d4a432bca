// SPDX-License-Identifier: GPL-2.0
// error: kretprobe::Handler::Data asks for more alignment than a kretprobe_instance has
// The kernel aligns an instance only for its own fields.

use kernel::prelude::*;
use kprobes::{kretprobe, Context, Kretprobe, Return, Target};

#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Line([u8; 64]);

pub struct Aligned;

#[vtable]
impl kretprobe::Handler for Aligned {
    type Data = Line;

    fn entry(&self, _cx: &Context<'_>) -> Option<Line> {
        None
    }

    fn ret(&self, _cx: &Context<'_, Return>, _data: Line) {}
}

pub fn register() -> Result<Pin<KBox<Kretprobe<Aligned>>>> {
    KBox::pin_init(Kretprobe::new(Target::symbol(c"f"), Aligned), GFP_KERNEL)
}
