// SPDX-License-Identifier: GPL-2.0

//! The smallest module with a kprobe, in the module's own memory, for comparing sizes with
//! `bench_min_c.c`.

use kernel::prelude::*;
use kprobes::{kprobe, Count, Kprobe, Target};

module! {
    type: Counting,
    name: "bench_min_rust",
    description: "The smallest module with a kprobe in Rust",
    license: "GPL",
}

static COUNT: Count = Count::new();

struct Counts;

#[vtable]
impl kprobe::Handler for Counts {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        COUNT.add(1);
    }
}

#[pin_data]
struct Counting {
    #[pin]
    probe: Kprobe<Counts>,
}

impl kernel::InPlaceModule for Counting {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let probe = Kprobe::new(Target::symbol(c"bench_call"), Counts);
        try_pin_init!(Self { probe <- probe })
    }
}
