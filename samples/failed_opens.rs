// SPDX-License-Identifier: GPL-2.0

//! Logs which files fail to open, with which flags and error. The arguments are those of the entry.
//! Kernel threads are ignored.

use kernel::prelude::*;
use kprobes::nofault::{KernelPtr, UserStr};

module! {
    type: FailedOpens,
    name: "failed_opens",
    authors: ["The rust_kprobe authors"],
    description: "Logs the opens that fail",
    license: "GPL",
}

kprobes::probes! {
    struct FailedOpens;

    // The third argument is a struct open_how, whose first member has the flags.
    fn open at c"do_sys_openat2" (cx, _dfd: i32, filename: UserStr, how: KernelPtr<u64>)
        when (!cx.is_kernel_thread()) -> fd: Result<i32>
    {
        if let Err(e) = fd {
            // The struct is on the stack of the caller, which has not returned.
            let flags = how.read().unwrap_or(0);
            let filename = filename.show::<256>();
            pr_info!("comm={} filename={filename} flags={flags:#o} {e:?}\n", cx.comm());
        }
    }
}
