// SPDX-License-Identifier: GPL-2.0

//! Events whose probes are on functions of another module, which can be unloaded.

#![forbid(unsafe_code)]

use kernel::prelude::*;
use kprobes::{
    entry,
    event::Armed,
    kprobe,
    Entry,
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
    fn pre(&self, cx: &kprobe::Context<'_>) {
        Called { how: 1 }.emit(cx);
    }
}

kprobes::trace_event! {
    struct Entered = "events_test:entered_victim" {
        how: u8,
    }
}

#[vtable]
impl entry::Handler for Calls {
    fn entry(&self, cx: &entry::Context<'_>) {
        Entered { how: 2 }.emit(cx);
    }
}

struct Gone {
    _calls: Pin<KBox<Armed<Kprobe<Calls>>>>,
    _enters: Pin<KBox<Armed<Entry<Calls>>>>,
}

impl kernel::Module for Gone {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let target = Target::symbol(c"stress_victim:stress_victim");
        let enters = Entry::with_options(target, entry::Options::default().disabled(), Calls);
        let calls = Kprobe::with_options(target, kprobe::Options::default().disabled(), Calls);
        Ok(Self {
            _enters: KBox::pin_init(Entered::arms(enters), GFP_KERNEL)?,
            _calls: KBox::pin_init(Called::arms(calls), GFP_KERNEL)?,
        })
    }
}
