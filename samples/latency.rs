// SPDX-License-Identifier: GPL-2.0

//! Measures how long each `vfs_read` takes, as a histogram in powers of two.
//! `/sys/kernel/debug/latency/ns` shows the histogram, which is logged on unload. In bpftrace:
//! `kprobe:vfs_read { @s[tid] = nsecs; } kretprobe:vfs_read /@s[tid]/ { @ns = hist(nsecs -
//! @s[tid]); delete(@s[tid]); }`, which mixes up nested calls.

use kernel::prelude::*;
use kprobes::Histogram;

module! {
    type: Latency,
    name: "latency",
    authors: ["The rust_kprobe authors"],
    description: "A histogram of the time that vfs_read takes",
    license: "GPL",
}

kprobes::probes! {
    struct Latency;

    let ns: Histogram = Histogram::log2()?;

    fn read at c"vfs_read" (_cx) -> _result: isize, duration {
        ns.record(duration);
    }

    drop {
        kprobes::log!(ns);
    }
}
