// SPDX-License-Identifier: GPL-2.0

//! An event of the same name as one of `events.rs`.

#![forbid(unsafe_code)]

use kernel::prelude::*;

module! {
    type: Twice,
    name: "events_twice",
    authors: ["Rust kprobe"],
    description: "An event whose name is taken",
    license: "GPL",
}

kprobes::trace_event! {
    struct Number = "events_test:number" {
        value: u64,
    }
}

struct Twice;

impl kernel::Module for Twice {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("its init ran, {}\n", Number::is_enabled());
        Ok(Self)
    }
}
