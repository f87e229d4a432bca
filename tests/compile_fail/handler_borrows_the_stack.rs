// SPDX-License-Identifier: GPL-2.0
// error: `count` does not live long enough
// The kernel calls the handler until the probe is dropped, which may be anywhere.

use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kprobes::{kprobe, Context, Kprobe, Target};

struct Counts<'a>(&'a Atomic<u64>);

#[vtable]
impl kprobe::Handler for Counts<'static> {
    fn pre(&self, _cx: &Context<'_>) {
        self.0.fetch_add(1, Relaxed);
    }
}

pub fn register() -> Result {
    let count = Atomic::new(0);
    let probe = KBox::pin_init(
        Kprobe::new(Target::symbol(c"f"), Counts(&count)),
        GFP_KERNEL,
    )?;
    drop(probe);
    Ok(())
}
