// SPDX-License-Identifier: GPL-2.0

//! Enables, disables and shows a probe by files in `/sys/kernel/debug/switch/`. Writing 1 or 0 to
//! `on` enables or disables the probe, like `events/kprobes/NAME/enable` in tracefs. `probe` shows
//! the probe's state. `opens` shows how many files each comm opened; any write clears it.

use kernel::debugfs::Scope;
use kernel::prelude::*;
use kprobes::{collect::Files, entry, Comm, CountMap, Entry, Target};

module! {
    type: Switch,
    name: "switch",
    authors: ["The rust_kprobe authors"],
    description: "Counts the files that programs open while its probe is enabled",
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
