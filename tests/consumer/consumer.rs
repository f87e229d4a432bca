// SPDX-License-Identifier: GPL-2.0

//! A module outside of the project, with features of the short form that no sample uses.

use core::ffi::CStr;
use kernel::prelude::*;
use kprobes::field;
use kprobes::nofault::{KernelPtr, UserStr};

kprobes::c_structs!(c);

module! {
    type: Probes,
    name: "consumer",
    authors: ["Somebody else"],
    description: "Probes in the short form",
    license: "GPL",
}

/// The offset of the first instruction after the ftrace call.
const ENTRY: u32 = if cfg!(not(CONFIG_X86_64)) {
    8
} else if cfg!(CONFIG_X86_KERNEL_IBT) {
    9
} else {
    5
};

const EXECVE: &CStr = if cfg!(CONFIG_ARM64) {
    c"__arm64_sys_execve"
} else if cfg!(CONFIG_RISCV) {
    c"__riscv_sys_execve"
} else {
    c"__x64_sys_execve"
};

kprobes::probes! {
    struct Probes;

    fn program at EXECVE (cx) {
        if let Ok((path,)) = cx.syscall_args::<(UserStr,)>() {
            pr_info!("{} becomes {}\n", cx.comm(), path.show::<32>());
        }
    }

    /// With an offset.
    fn inside at c"filename_mkdirat" + ENTRY (cx) {
        pr_info!("{} is inside\n", cx.comm());
    }

    fn signal on c"signal_generate" (
        cx, sig: i32, _info: KernelPtr, task: KernelPtr<c::task_struct>,
    ) {
        if sig == 10 {
            let to_itself = field!(task, tgid) == Ok(cx.tgid());
            pr_info!("{} sends signal {sig}, to itself: {to_itself}\n", cx.comm());
        }
    }
}
