// SPDX-License-Identifier: GPL-2.0

//! Counts page faults by comm. `/sys/kernel/debug/page_faults/faults` shows the counts; on unload,
//! the ten largest are logged. In bpftrace: `kprobe:handle_mm_fault { @[comm] = count(); }`. The
//! kernel also calls that function to retry a fault, and to fault in user memory itself.

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
