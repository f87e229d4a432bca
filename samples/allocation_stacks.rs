// SPDX-License-Identifier: GPL-2.0

//! Sums the bytes of each `kmalloc`, by call stack. It ignores other allocators and kfree().
//! `/sys/kernel/debug/allocation_stacks/bytes` shows the sums; on unload, the five largest are
//! logged. In bpftrace: `tracepoint:kmem:kmalloc { @[kstack(8)] = sum(args->bytes_alloc); }`, where
//! a stack may begin with `__traceiter_kmalloc`.

use kernel::prelude::*;
use kprobes::{nofault::KernelPtr, CountMap, Stack};

module! {
    type: AllocationStacks,
    name: "allocation_stacks",
    authors: ["The rust_kprobe authors"],
    description: "Counts the bytes that kmalloc returns, by stack",
    license: "GPL",
}

kprobes::probes! {
    struct AllocationStacks;

    let bytes: CountMap<Stack<8>> = CountMap::new(10_000)?;

    fn kmalloc on c"kmalloc" (cx, _site: usize, _at: KernelPtr, _size: usize, allocated: u64) {
        bytes.add(cx.stack(), allocated);
    }

    drop {
        kprobes::log!(bytes, 5);
    }
}
