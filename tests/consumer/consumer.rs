// SPDX-License-Identifier: GPL-2.0

//! Somebody else's module: three probes, and nothing else to write.

use kernel::prelude::*;
use kprobes::{KernelPtr, UserStr};

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

    /// Each program, and no kernel thread's.
    fn program at c"__x64_sys_execve" (cx) {
        if let Ok((path,)) = cx.syscall_args::<(UserStr,)>() {
            pr_info!("{} becomes {}\n", cx.comm(), path.show::<32>());
        }
    }

    /// Only the folders that are made with all rights.
    fn open_to_all at c"filename_mkdirat" (_cx, _dfd: i32, _name: KernelPtr, mode: u16)
        when (mode == 0o777) -> result: Result
    {
        pr_info!("open to all: {result:?}\n");
    }

    /// Somewhere inside.
    fn inside at c"filename_mkdirat" + 5 (cx) {
        pr_info!("{} is inside\n", cx.comm());
    }

    /// Each signal that a program sends to another.
    fn signal on c"signal_generate" (cx, sig: i32) {
        if sig == 10 {
            pr_info!("{} sends signal {sig}\n", cx.comm());
        }
    }
}
