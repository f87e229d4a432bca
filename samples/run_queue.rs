// SPDX-License-Identifier: GPL-2.0

//! Measures how long woken tasks wait for a CPU, in microseconds, with a histogram for each CPU,
//! and for whether the previous task was preempted. `/sys/kernel/debug/run_queue/waited` shows the
//! histograms, which are logged on unload. BCC's `runqlat` also counts new and preempted tasks.

use kernel::prelude::*;
use kprobes::{nofault::KernelPtr, Buckets, HistogramMap, Map};

module! {
    type: RunQueue,
    name: "run_queue",
    authors: ["The rust_kprobe authors"],
    description: "Histograms of the time that tasks wait for a CPU",
    license: "GPL",
}

kprobes::probes! {
    struct RunQueue;

    let woken: Map<KernelPtr, u64> = Map::new(10_000)?;
    let waited: HistogramMap<(u32, bool)> = HistogramMap::with_buckets(1000, Buckets::LOG2)?;

    fn wakeup on c"sched_wakeup" (cx, task: KernelPtr) {
        woken.insert(task, cx.now_ns());
    }

    fn switch on c"sched_switch" (cx, preempted: bool, _from: KernelPtr, to: KernelPtr) {
        if let Some(since) = woken.take(to) {
            waited.record((cx.cpu(), preempted), (cx.now_ns() - since) / 1000);
        }
    }

    drop {
        kprobes::log!(waited);
    }
}
