// SPDX-License-Identifier: GPL-2.0

//! Logs the entry and the return of `do_nanosleep`, like bpftrace's two one-liners.

use kernel::prelude::*;

module! {
    type: Nanosleep,
    name: "nanosleep",
    authors: ["The rust_kprobe authors"],
    description: "Logs who calls do_nanosleep, and when it returns",
    license: "GPL",
}

kprobes::probes! {
    struct Nanosleep;

    fn sleep at c"do_nanosleep" (cx) {
        pr_info!("comm={} sleep will be called by {}-{}\n", cx.comm(), cx.tgid(), cx.pid());
    }

    fn slept at c"do_nanosleep" (cx) -> _result: Result {
        pr_info!("comm={} sleep got called by {}-{}\n", cx.comm(), cx.tgid(), cx.pid());
    }
}
