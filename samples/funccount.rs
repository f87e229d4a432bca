// SPDX-License-Identifier: GPL-2.0

//! Counts the calls of functions, like BCC's `funccount`. The parameter has names, or patterns like
//! `vfs_*`. On unload, the functions with most calls are logged.

use kernel::prelude::*;
use kprobes::{entry, Address, CountMap, EntrySet};

module! {
    type: FuncCount,
    name: "funccount",
    authors: ["The rust_kprobe authors"],
    description: "Counts the calls of functions",
    license: "GPL",
    params: {
        top: u32 {
            default: 20,
            description: "How many are printed",
        },
    },
}

kprobes::string_param!(functions, "Names or patterns, separated by commas");

/// The kernel has fewer functions.
const MAX: usize = 200_000;

struct Calls(CountMap<Address>);

#[vtable]
impl entry::Handler for Calls {
    fn entry(&self, cx: &entry::Context<'_>) {
        self.0.add(cx.address(), 1);
    }

    fn unregistered(&self, missed: u64) {
        let top = kprobes::param(&module_parameters::top) as usize;
        for row in self.0.read().top(top).iter().flatten() {
            pr_info!("{:>10} {}\n", row.count, row.key.location().symbol());
        }
        pr_info!("{missed} missed\n");
    }
}

struct FuncCount {
    _set: Pin<KBox<EntrySet<Calls>>>,
}

impl kernel::Module for FuncCount {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let Some(patterns) = functions.value() else {
            pr_err!("parameter functions= is missing\n");
            return Err(EINVAL);
        };
        let set = EntrySet::matching(patterns, Calls(CountMap::new(MAX)?));
        let set = KBox::pin_init(set, GFP_KERNEL)?;
        pr_info!("counting {} functions\n", set.len());
        Ok(Self { _set: set })
    }
}
