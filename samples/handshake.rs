// SPDX-License-Identifier: GPL-2.0

//! Measures how long TCP connections over IPv4 take to be established: from `tcp_v4_connect` to
//! `tcp_finish_connect` of the same sock. `/sys/kernel/debug/handshake/us` shows the histogram,
//! which is logged on unload. A failed connect leaves its entry in `connecting` until the same sock
//! connects again. In bpftrace: `kprobe:tcp_v4_connect { @s[arg0] = nsecs; }
//! kprobe:tcp_finish_connect /@s[arg0]/ { @us = hist((nsecs - @s[arg0]) / 1000); delete(@s[arg0]);
//! }`.

use kernel::prelude::*;
use kprobes::{nofault::KernelPtr, Histogram, Map};

module! {
    type: Handshake,
    name: "handshake",
    authors: ["The rust_kprobe authors"],
    description: "A histogram of the time that TCP connections take to be established",
    license: "GPL",
}

kprobes::probes! {
    struct Handshake;

    let connecting: Map<KernelPtr, u64> = Map::new(10_000)?;
    let us: Histogram = Histogram::log2()?;

    fn connect entry c"tcp_v4_connect" (cx, sk: KernelPtr) {
        connecting.insert(sk, cx.now_ns());
    }

    fn connected entry c"tcp_finish_connect" (cx, sk: KernelPtr) {
        if let Some(since) = connecting.take(sk) {
            us.record((cx.now_ns() - since) / 1000);
        }
    }

    drop {
        pr_info!("{} connections, in microseconds:\n", us.total());
        kprobes::log!(us);
    }
}
