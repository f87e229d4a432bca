// SPDX-License-Identifier: GPL-2.0

//! Logs the kernel stack of each call of `do_nanosleep` in one line. In bpftrace,
//! `kprobe:do_nanosleep { printf("%s sleeps: %s\n", comm, kstack); }` prints a line for each frame,
//! `do_nanosleep` first.

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
