// SPDX-License-Identifier: GPL-2.0

//! Makes a function fail, for one process only: `getpriority(2)` does not run, and returns EPERM,
//! in 64-bit and 32-bit programs with the comm `victim`. No other sample needs `unsafe`.

use kernel::prelude::*;
use kprobes::{overrides, OverrideSet};

module! {
    type: ChangeOutcome,
    name: "change_outcome",
    authors: ["The rust_kprobe authors"],
    description: "Makes getpriority fail for programs of one name",
    license: "GPL",
}

struct Refuse;

#[vtable]
impl overrides::Handler for Refuse {
    fn entry(&self, cx: &overrides::Context<'_>) -> Option<usize> {
        if cx.comm().as_bytes() != b"victim" {
            return None;
        }
        pr_info!("comm={} is refused\n", cx.comm());
        Some(EPERM.to_errno() as usize)
    }
}

struct ChangeOutcome {
    _probes: Pin<KBox<OverrideSet<Refuse>>>,
}

impl kernel::Module for ChangeOutcome {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // Skip entry points that this kernel lacks.
        let options = overrides::Options::default().partial();
        let entries = kprobes::syscall!(all "getpriority");
        // SAFETY: The caller of this system call uses only its result. No lock or reference is held
        // at the entry. EPERM is an error of its manual page.
        let probes = unsafe { OverrideSet::with_options(&entries, options, Refuse) };
        let _probes = KBox::pin_init(probes, GFP_KERNEL)?;
        Ok(Self { _probes })
    }
}
