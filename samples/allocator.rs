// SPDX-License-Identifier: GPL-2.0

//! Logs large allocations: the size is an argument at the entry, the memory is the result at the
//! return.

use kernel::prelude::*;
use kprobes::{kretprobe, nofault::KernelPtr, Kretprobe, Target};

module! {
    type: Allocator,
    name: "allocator",
    authors: ["The rust_kprobe authors"],
    description: "Logs what __kmalloc returns for large sizes",
    license: "GPL",
    params: {
        at_least: usize {
            default: 16_000,
            description: "The smallest size to log, in bytes",
        },
    },
}

struct Allocation {
    at_least: usize,
}

#[vtable]
impl kretprobe::Handler for Allocation {
    type Data = usize;

    fn entry(&self, cx: &kretprobe::Context<'_>) -> Option<usize> {
        Some(cx.arg0()).filter(|&size| size >= self.at_least)
    }

    fn ret(&self, cx: &kretprobe::ReturnContext<'_>, size: usize) {
        let memory: KernelPtr = cx.ret();
        let what = if memory.is_null() {
            "failed"
        } else {
            "succeeded"
        };
        pr_info!("comm={} kmalloc of {size} bytes {what}\n", cx.comm());
    }
}

struct Allocator {
    _probe: Pin<KBox<Kretprobe<Allocation>>>,
}

impl kernel::Module for Allocator {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let at_least = kprobes::param(&module_parameters::at_least);
        let probe = Kretprobe::new(Target::symbol(c"__kmalloc_noprof"), Allocation { at_least });
        let _probe = KBox::pin_init(probe, GFP_KERNEL)?;
        Ok(Self { _probe })
    }
}
