// SPDX-License-Identifier: GPL-2.0

//! Which programs take the most page faults? Like bpftrace's
//! `tracepoint:exceptions:page_fault_user { @[comm] = count(); }`: in debugfs while the
//! module is loaded (`/sys/kernel/debug/page_faults/faults`), and the ten with the most
//! faults in the log when it is unloaded.

use kernel::prelude::*;
use kprobes::{Comm, CountMap};

module! {
    type: PageFaults,
    name: "page_faults",
    authors: ["The rust_kprobe authors"],
    description: "Counts page faults by process",
    license: "GPL",
}

kprobes::probes! {
    struct PageFaults;

    let faults: CountMap<Comm> = CountMap::new(1000)?;

    fn fault entry c"handle_mm_fault" (cx) {
        faults.add(cx.comm(), 1);
    }

    drop {
        kprobes::log!(faults, 10);
    }
}
