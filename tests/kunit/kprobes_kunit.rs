// SPDX-License-Identifier: GPL-2.0

//! KUnit suites with probes on functions of `targets.c`. Each suite begins with the cases of the
//! kernel's `lib/tests/test_kprobes.c`.

use kernel::prelude::*;

kprobes::c_structs!(c);

#[macro_use]
#[path = "../handlers.rs"]
mod handlers;
mod targets;

mod collect;
mod contexts;
mod doors;
mod entries;
mod fields;
mod kinds;
mod kprobe;
mod kretprobe;
mod memory;
mod ratelimit;
mod stacks;
mod tracepoints;

module! {
    type: Suites,
    name: "kprobes_kunit",
    description: "KUnit suites of the kprobes library",
    license: "GPL",
}

struct Suites;

impl kernel::Module for Suites {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // The first entry probe must be registered outside of the suites.
        entries::first()?;
        Ok(Self)
    }
}
