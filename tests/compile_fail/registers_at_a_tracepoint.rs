// SPDX-License-Identifier: GPL-2.0
// error: `Trace: Probed`
// A tracepoint passes arguments, not the CPU registers.

use kprobes::{tracepoint, Context, Trace};

struct Wants;

impl tracepoint::Handler for Wants {
    type Args = ();

    fn hit(&self, cx: &Context<'_, Trace>, _args: ()) {
        let _ = cx.ip();
    }
}
