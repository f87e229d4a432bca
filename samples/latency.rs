// SPDX-License-Identifier: GPL-2.0

//! How long does a function take? A histogram of `vfs_read` in powers of two, like
//! bpftrace's `hist()`: in debugfs while the module is loaded
//! (`/sys/kernel/debug/latency/ns`), and in the log when it is unloaded.

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
