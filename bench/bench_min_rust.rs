// SPDX-License-Identifier: GPL-2.0

//! The smallest module with a counting kprobe, for comparing sizes.

use kernel::prelude::*;
use kprobes::Count;

module! {
    type: Counting,
    name: "bench_min_rust",
    description: "The smallest module with a kprobe in Rust",
    license: "GPL",
}

static COUNT: Count = Count::new();

kprobes::probes! {
    struct Counting;

    fn count at c"bench_call" (_cx) {
        COUNT.add(1);
    }
}
