// SPDX-License-Identifier: GPL-2.0

//! Which files does a program open? At the entry of the system call, the name is in user
//! memory, which may not be present yet. The kernel copies it into a `struct filename`, from which
//! this reads it. 64-bit and 32-bit programs and io_uring share that, and so does the kernel when
//! it executes a program.

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
        // It is an error pointer if the kernel could not read the name.
        if let Ok(name) = filename.name() {
            pr_info!("comm={} dfd={dfd} filename={}\n", cx.comm(), name.show::<256>());
        }
    }
}
