// SPDX-License-Identifier: GPL-2.0

//! How long does a function take? A histogram of `vfs_read` in powers of two, like
//! bpftrace's `hist()`: in debugfs while the module is loaded
//! (`/sys/kernel/debug/latency/ns`), and in the log when it is unloaded.

use kernel::debugfs::Scope;
use kernel::prelude::*;
use kprobes::{collect::Files, timed, Histogram, Target, Timed};

module! {
    type: Latency,
    name: "latency",
    authors: ["The rust_kprobe authors"],
    description: "A histogram of the time that vfs_read takes",
    license: "GPL",
}

struct Reads(Histogram);

#[vtable]
impl timed::Handler for Reads {
    fn ret(&self, _cx: &timed::ReturnContext<'_>, ns: u64) {
        self.0.record(ns);
    }

    fn unregistered(&self, missed: u64) {
        kprobes::log!(&self.0);
        pr_info!("{missed} missed\n");
    }
}

struct Latency {
    _reads: Pin<KBox<Scope<Timed<Reads>>>>,
}

impl kernel::Module for Latency {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let reads = Timed::new(Target::symbol(c"vfs_read"), Reads(Histogram::log2()?));
        let shown = Scope::dir(reads, c"latency", |reads, files| {
            files.view(c"ns", &reads.handler().0);
        });
        Ok(Self {
            _reads: KBox::pin_init(shown, GFP_KERNEL)?,
        })
    }
}
