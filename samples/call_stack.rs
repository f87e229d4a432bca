// SPDX-License-Identifier: GPL-2.0

//! By which calls did it come to this function? bpftrace's `kstack`, as a line of the log.

use kernel::prelude::*;

module! {
    type: CallStack,
    name: "call_stack",
    authors: ["The rust_kprobe authors"],
    description: "Logs the calls that lead to do_nanosleep",
    license: "GPL",
}

kprobes::probes! {
    struct CallStack;

    fn sleep at c"do_nanosleep" (cx) {
        pr_info!("comm={} sleeps: {}\n", cx.comm(), cx.stack::<16>());
    }
}
