// SPDX-License-Identifier: GPL-2.0

//! How do I match only certain arguments? `do_exit` gets the exit code of every
//! task; this logs who exits with 42.

use kernel::prelude::*;

module! {
    type: Conditional,
    name: "conditional",
    authors: ["The rust_kprobe authors"],
    description: "Logs who exits with 42",
    license: "GPL",
}

kprobes::probes! {
    struct Conditional;

    fn exit at c"do_exit" (cx, code: usize) {
        // The status is in the second byte, as in wait(2).
        if code >> 8 == 42 {
            pr_info!("pid={} comm={} exits with 42\n", cx.tgid(), cx.comm());
        }
    }
}
