// SPDX-License-Identifier: GPL-2.0

//! How do I make a function fail, for one process only? `getpriority(2)` returns
//! EPERM to programs that are called `victim`, and does not run at all.
//!
//! This is the one sample that opens an unsafe door.

use kernel::prelude::*;
use kprobes::{overrides, Context, Override};

module! {
    type: ChangeOutcome,
    name: "change_outcome",
    authors: ["The rust_kprobe authors"],
    description: "Lets getpriority fail for programs of one name",
    license: "GPL",
}

struct Refuse;

impl overrides::Handler for Refuse {
    fn entry(&self, cx: &Context<'_>) -> Option<usize> {
        if cx.comm().as_bytes() != b"victim" {
            return None;
        }
        pr_info!("comm={} is refused\n", cx.comm());
        Some(EPERM.to_errno() as usize)
    }
}

struct ChangeOutcome {
    _probe: Pin<KBox<Override<Refuse>>>,
}

impl kernel::Module for ChangeOutcome {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: A system call owes its caller, the program, nothing but a result; it has taken no
        // lock and no reference at its entry that it would have to give back. -EPERM is a result
        // that its manual page allows.
        let probe = unsafe { Override::new(kprobes::syscall!("getpriority"), Refuse) };
        let _probe = KBox::pin_init(probe, GFP_KERNEL)?;
        Ok(Self { _probe })
    }
}
