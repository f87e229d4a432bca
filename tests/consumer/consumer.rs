// SPDX-License-Identifier: GPL-2.0

//! Somebody else's module: three probes, and nothing else to write.

use kernel::prelude::*;
use kprobes::UserStr;

module! {
    type: Probes,
    name: "consumer",
    authors: ["Somebody else"],
    description: "Three probes in short form",
    license: "GPL",
}

kprobes::probes! {
    /// What `mkdir` does, and what does not become of it.
    struct Probes;

    /// Each attempt.
    fn attempt at c"filename_mkdirat" (cx, _dfd: i32) {
        pr_info!("{} wants a folder\n", cx.comm());
    }

    /// Each result.
    fn result at c"filename_mkdirat" (_cx, dfd: i32) -> result: Result {
        pr_info!("at {dfd}: {result:?}\n");
    }

    /// Each program.
    fn program at c"__x64_sys_execve" (cx) {
        if let Ok((path,)) = cx.syscall_args::<(UserStr,)>() {
            pr_info!("{} becomes {}\n", cx.comm(), path.show::<32>());
        }
    }
}
