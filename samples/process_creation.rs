// SPDX-License-Identifier: GPL-2.0

//! Logs who creates which process. The parent is known at the entry of `kernel_clone`, the child is
//! its result.

use kernel::prelude::*;

module! {
    type: ProcessCreation,
    name: "process_creation",
    authors: ["The rust_kprobe authors"],
    description: "Logs pid and comm at the creation of processes",
    license: "GPL",
}

kprobes::probes! {
    struct ProcessCreation;

    fn clone at c"kernel_clone" (cx) {
        pr_info!("pid={} comm={} calls kernel_clone\n", cx.tgid(), cx.comm());
    }

    fn cloned at c"kernel_clone" (cx) -> child: Result<i32> {
        match child {
            Ok(pid) => pr_info!("pid={} comm={} created pid {pid}\n", cx.tgid(), cx.comm()),
            Err(e) => pr_info!("pid={} comm={} failed to clone: {e:?}\n", cx.tgid(), cx.comm()),
        }
    }
}
