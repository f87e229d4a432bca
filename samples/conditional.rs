// SPDX-License-Identifier: GPL-2.0

//! How do I match only certain arguments? `do_group_exit` gets the exit code of a
//! process; this logs the processes that exit with 42.
//!
//! The kernel ends the other threads of a process by a signal, so each of them calls
//! `do_group_exit`, too, but with the signal's number. `do_exit` gets the exit code of the
//! process in each of its threads.

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
        // The status is in the second byte, as in wait(2).
        if code >> 8 == 42 {
            pr_info!("pid={} comm={} exits with 42\n", cx.tgid(), cx.comm());
        }
    }
}
