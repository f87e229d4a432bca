// SPDX-License-Identifier: GPL-2.0

//! How long do tasks wait for a CPU? From when a task is woken until it runs, like BCC's
//! `runqlat`, in microseconds: a histogram for each CPU, and for whether the task before
//! it was preempted.

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
