// SPDX-License-Identifier: GPL-2.0
// error: required for `&Context<'_>` to implement `Send`
// A context belongs to the CPU and the task of the hit.

use kernel::prelude::*;
use kprobes::{kprobe, Context};

fn send<T: Send>(_value: T) {}

struct Sends;

#[vtable]
impl kprobe::Handler for Sends {
    fn pre(&self, cx: &Context<'_>) {
        send(cx);
    }
}
