// SPDX-License-Identifier: GPL-2.0

//! Logs each call of `do_sys_openat2`, which implements the system calls open, openat and openat2.

use kernel::prelude::*;
use kprobes::{kprobe, Kprobe, Target};

module! {
    type: FirstProbe,
    name: "first_probe",
    authors: ["The rust_kprobe authors"],
    description: "Logs each open",
    license: "GPL",
}

struct Open;

#[vtable]
impl kprobe::Handler for Open {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        pr_info!("do_sys_openat2 called\n");
    }

    fn unregistered(&self, _missed: u64) {
        pr_info!("Kprobe unregistered\n");
    }
}

struct FirstProbe {
    _open: Pin<KBox<Kprobe<Open>>>,
}

impl kernel::Module for FirstProbe {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let open = Kprobe::new(Target::symbol(c"do_sys_openat2"), Open);
        let _open = KBox::pin_init(open, GFP_KERNEL)?;
        pr_info!("Kprobe registered\n");
        Ok(Self { _open })
    }
}
