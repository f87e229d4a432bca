// SPDX-License-Identifier: GPL-2.0
// error: `Trace: Probed`
// A tracepoint passes arguments, and no registers.

use kprobes::{Context, Trace, TracepointHandler};

struct Wants;

impl TracepointHandler for Wants {
    type Args = ();

    fn hit(&self, cx: &Context<'_, Trace>, _args: ()) {
        let _ = cx.ip();
    }
}
