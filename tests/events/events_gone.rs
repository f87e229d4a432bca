// SPDX-License-Identifier: GPL-2.0

//! An event whose probe is in another module, and so can be gone.

#![forbid(unsafe_code)]

use kernel::prelude::*;
use kprobes::{
    event::Armed,
    kprobe,
    Context,
    Kprobe,
    Target, //
};

module! {
    type: Gone,
    name: "events_gone",
    authors: ["Rust kprobe"],
    description: "An event of a function that goes",
    license: "GPL",
}

kprobes::trace_event! {
    struct Called = "events_test:called" {
        how: u8,
    }
}

struct Calls;

#[vtable]
impl kprobe::Handler for Calls {
    fn pre(&self, cx: &Context<'_>) {
        Called { how: 1 }.emit(cx);
    }
}

struct Gone {
    _calls: Pin<KBox<Armed<Kprobe<Calls>>>>,
}

impl kernel::Module for Gone {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let target = Target::symbol(c"events_victim:events_victim_target").disabled();
        Ok(Self {
            _calls: KBox::pin_init(Called::arms(Kprobe::new(target, Calls)), GFP_KERNEL)?,
        })
    }
}
