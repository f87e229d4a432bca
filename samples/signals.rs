// SPDX-License-Identifier: GPL-2.0

//! Logs who sends which signal, and the result, by the tracepoint `signal_generate`.

use kernel::prelude::*;
use kprobes::nofault::KernelPtr;

module! {
    type: Signals,
    name: "signals",
    authors: ["The rust_kprobe authors"],
    description: "Logs signals and what becomes of them",
    license: "GPL",
}

/// `TRACE_SIGNAL_*`.
const RESULTS: [&str; 5] = [
    "delivered",
    "ignored",
    "already_pending",
    "overflow_fail",
    "lose_info",
];

kprobes::probes! {
    struct Signals;

    fn generate on c"signal_generate" (
        cx, sig: i32, _info: KernelPtr, _task: KernelPtr, group: i32, result: usize,
    ) {
        let whom = if group != 0 { "group" } else { "single" };
        let result = RESULTS.get(result & 0xff).unwrap_or(&"unknown");
        pr_info!("comm={} sends signal {sig} to a {whom}: {result}\n", cx.comm());
    }
}
