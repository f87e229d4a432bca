// SPDX-License-Identifier: GPL-2.0

//! Somebody else's module: three probes, and nothing else to write.

use core::ffi::CStr;
use kernel::prelude::*;
use kprobes::nofault::{KernelPtr, UserStr};

module! {
    type: Probes,
    name: "consumer",
    authors: ["Somebody else"],
    description: "Three probes in short form",
    license: "GPL",
}

/// The length of what belongs to ftrace at a function's entry.
const ENTRY: u32 = if cfg!(CONFIG_ARM64) {
    8
} else if cfg!(CONFIG_X86_KERNEL_IBT) {
    9
} else {
    5
};

/// A system call's function is named after the architecture.
const EXECVE: &CStr = if cfg!(CONFIG_ARM64) {
    c"__arm64_sys_execve"
} else {
    c"__x64_sys_execve"
};

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
    fn program at EXECVE (cx) {
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
    fn inside at c"filename_mkdirat" + ENTRY (cx) {
        pr_info!("{} is inside\n", cx.comm());
    }

    /// Each signal that a program sends to another.
    fn signal on c"signal_generate" (cx, sig: i32) {
        if sig == 10 {
            pr_info!("{} sends signal {sig}\n", cx.comm());
        }
    }
}
