// SPDX-License-Identifier: GPL-2.0

//! Logs the processes that exit with 42. `do_group_exit` gets the exit code.
//!
//! When a process exits, the kernel sends a signal to its other threads. These also call
//! `do_group_exit`, but with the number of the signal. `do_exit` gets the exit code in each thread.

use kernel::prelude::*;

module! {
    type: Conditional,
    name: "conditional",
    authors: ["The rust_kprobe authors"],
    description: "Logs the processes that exit with 42",
    license: "GPL",
}

kprobes::probes! {
    struct Conditional;

    fn exit at c"do_group_exit" (cx, code: i32) {
        // The exit code has the status in its second byte, see wait(2).
        if code >> 8 == 42 {
            pr_info!("pid={} comm={} exits with 42\n", cx.tgid(), cx.comm());
        }
    }
}
