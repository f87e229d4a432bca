// SPDX-License-Identifier: GPL-2.0

//! How do I turn a probe on and off, and look at it while it runs? By files in
//! `/sys/kernel/debug/switch/`: `on` is a switch, `probe` is the probe's state, and
//! `opens` counts by process; writing to it clears it.

use kernel::debugfs::Scope;
use kernel::prelude::*;
use kprobes::{collect::Files, entry, Comm, CountMap, Entry, Target};

module! {
    type: Switch,
    name: "switch",
    authors: ["The rust_kprobe authors"],
    description: "Counts the files that programs open while it is switched on",
    license: "GPL",
}

struct Opens(CountMap<Comm>);

#[vtable]
impl entry::Handler for Opens {
    fn entry(&self, cx: &entry::Context<'_>) {
        self.0.add(cx.comm(), 1);
    }
}

struct Switch(#[expect(dead_code)] Pin<KBox<Scope<Entry<Opens>>>>);

impl kernel::Module for Switch {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let opens = Opens(CountMap::new(1000)?);
        let opens = Entry::new(Target::symbol(c"do_sys_openat2"), opens);
        let shown = Scope::dir(opens, c"switch", |probe, files| {
            files.switch(c"on", probe);
            files.view(c"probe", probe);
            files.view(c"opens", &probe.handler().0);
        });
        pr_info!("see /sys/kernel/debug/switch\n");
        Ok(Self(KBox::pin_init(shown, GFP_KERNEL)?))
    }
}
