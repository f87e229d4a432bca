// SPDX-License-Identifier: GPL-2.0

//! Logs which files a program opens. At the entry of the system call, the name is in user memory,
//! and its page may not be present. The kernel copies the name into a `struct filename`, from which
//! this sample reads it. This covers 64-bit and 32-bit programs, io_uring, and the kernel executing
//! a program.

use kernel::prelude::*;
use kprobes::Filename;

module! {
    type: OpenNames,
    name: "open_names",
    authors: ["The rust_kprobe authors"],
    description: "Logs the name of each file that is opened",
    license: "GPL",
}

kprobes::probes! {
    struct OpenNames;

    fn open at c"do_file_open" (cx, dfd: i32, filename: Filename) {
        // If the kernel could not read the name, this is an error pointer.
        if let Ok(name) = filename.name() {
            pr_info!("comm={} dfd={dfd} filename={}\n", cx.comm(), name.show::<256>());
        }
    }
}
