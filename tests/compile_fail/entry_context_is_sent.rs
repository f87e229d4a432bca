// SPDX-License-Identifier: GPL-2.0
// error: `*mut bindings::ftrace_regs` cannot be shared between threads safely
// A context belongs to the CPU and the task of the hit.

use kprobes::{entry, AtEntry, Context};

fn send<T: Send>(_value: T) {}

struct Sends;

impl entry::Handler for Sends {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        send(cx);
    }
}
