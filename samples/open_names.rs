// SPDX-License-Identifier: GPL-2.0

//! Which files does a program open? The name is in user memory, which may be paged
//! out or not mapped at all: reading it does not fault.

use kernel::prelude::*;
use kprobes::nofault::UserStr;

module! {
    type: OpenNames,
    name: "open_names",
    authors: ["The rust_kprobe authors"],
    description: "Logs the name of each file that is opened",
    license: "GPL",
}

kprobes::probes! {
    struct OpenNames;

    fn open at c"do_sys_openat2" (cx, dfd: i32, filename: UserStr) {
        pr_info!("comm={} dfd={dfd} filename={}\n", cx.comm(), filename.show::<256>());
    }
}
