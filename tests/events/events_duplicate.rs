// SPDX-License-Identifier: GPL-2.0

//! An event with the name of one of `events.rs`.

#![forbid(unsafe_code)]

use kernel::prelude::*;

module! {
    type: Duplicate,
    name: "events_duplicate",
    authors: ["Rust kprobe"],
    description: "An event whose name is taken",
    license: "GPL",
}

kprobes::trace_event! {
    struct Number = "events_test:number" {
        value: u64,
    }
}

struct Duplicate;

impl kernel::Module for Duplicate {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("its init ran, {}\n", Number::is_enabled());
        Ok(Self)
    }
}
