// SPDX-License-Identifier: GPL-2.0

//! How often is each of these functions called? Like BCC's `funccount`: the
//! functions are a parameter, as names or patterns like `vfs_*`. Those that are called
//! the most are printed on unload.

use kernel::cpu::nr_cpu_ids;
use kernel::prelude::*;
use kernel::sync::SetOnce;
use kprobes::{entry, Address, Count, EntrySet};

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

/// A count for each function on each CPU.
struct Table {
    addresses: KVVec<Address>,
    counts: KVVec<Count>,
}

impl Table {
    fn new(set: &EntrySet<Counts>) -> Result<Self> {
        let mut addresses = KVVec::with_capacity(set.len(), GFP_KERNEL)?;
        for (_, probe) in set.iter() {
            addresses.push(probe.address().ok_or(EINVAL)?, GFP_KERNEL)?;
        }
        let all = addresses.len() * nr_cpu_ids() as usize;
        let mut counts = KVVec::with_capacity(all, GFP_KERNEL)?;
        for _ in 0..all {
            counts.push(Count::new(), GFP_KERNEL)?;
        }
        Ok(Self { addresses, counts })
    }

    fn calls(&self, index: usize) -> u64 {
        let of_each_cpu = self.counts.iter().skip(index).step_by(self.addresses.len());
        of_each_cpu.map(|count| count.get()).sum()
    }
}

/// The table has room for what was matched, so it comes after that.
struct Counts(SetOnce<Table>);

impl entry::Handler for Counts {
    fn entry(&self, cx: &entry::Context<'_>) {
        if let Some(table) = self.0.as_ref() {
            let at = cx.cpu() as usize * table.addresses.len() + cx.index();
            if let Some(count) = table.counts.get(at) {
                count.add(1);
            }
        }
    }

    fn unregistered(&self, missed: u64) {
        let Some(table) = self.0.as_ref() else { return };
        let top = kprobes::param(&module_parameters::top) as usize;
        // The largest first, and of the same, the first.
        let mut most = KVec::new();
        for index in 0..table.addresses.len() {
            let calls = table.calls(index);
            if calls == 0 {
                continue;
            }
            if most.push((calls, index), GFP_KERNEL).is_err() {
                break;
            }
            let mut at = most.len() - 1;
            while at > 0 && most[at - 1].0 < most[at].0 {
                most.swap(at - 1, at);
                at -= 1;
            }
            most.truncate(top);
        }
        for &(calls, index) in most.iter() {
            let location = table.addresses[index].location();
            pr_info!("{calls:>10} {}\n", location.symbol());
        }
        pr_info!("{missed} missed\n");
    }
}

struct FuncCount {
    _set: Pin<KBox<EntrySet<Counts>>>,
}

impl kernel::Module for FuncCount {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let Some(patterns) = functions.value() else {
            pr_err!("functions= is missing\n");
            return Err(EINVAL);
        };
        let set = EntrySet::matching(patterns, Counts(SetOnce::new()));
        let set = KBox::pin_init(set, GFP_KERNEL)?;
        set.handler().0.populate(Table::new(&set)?);
        pr_info!("counting {} functions\n", set.len());
        Ok(Self { _set: set })
    }
}
