// SPDX-License-Identifier: GPL-2.0

//! How do I make a function fail, for one process only? `getpriority(2)` returns
//! EPERM to programs that are called `victim`, and does not run at all.
//!
//! This is the one sample that opens an unsafe door.

use kernel::prelude::*;
use kprobes::{Context, Handler, Kprobe, Post};

module! {
    type: ChangeOutcome,
    name: "change_outcome",
    authors: ["The rust_kprobe authors"],
    description: "Lets getpriority fail for programs of one name",
    license: "GPL",
}

struct Refuse;

#[vtable]
impl Handler for Refuse {
    fn pre(&self, cx: &Context<'_>) {
        if cx.comm().as_bytes() != b"victim" {
            return;
        }
        // SAFETY: A system call owes its caller, the program, nothing but a result; it has taken
        // no lock and no reference at its entry that it would have to give back. -EPERM is a
        // result that its manual page allows.
        match unsafe { cx.skip_function(EPERM.to_errno() as usize) } {
            Ok(()) => pr_info!("comm={} is refused\n", cx.comm()),
            Err(e) => pr_info!("comm={} cannot be refused: {e:?}\n", cx.comm()),
        }
    }

    // Skipping needs it: without, the kernel may turn the probe into a jump.
    fn post(&self, _cx: &Context<'_, Post>) {}
}

struct ChangeOutcome {
    _probe: Pin<KBox<Kprobe<Refuse>>>,
}

impl kernel::Module for ChangeOutcome {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let probe = Kprobe::new(kprobes::syscall!("getpriority"), Refuse);
        let _probe = KBox::pin_init(probe, GFP_KERNEL)?;
        Ok(Self { _probe })
    }
}
