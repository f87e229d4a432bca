// SPDX-License-Identifier: GPL-2.0

//! How often is each of these functions called? Like BCC's `funccount`: the
//! functions are a parameter, and the counts are printed on unload, sorted.

use kernel::prelude::*;
use kernel::str::CString;
use kernel::sync::atomic::{Atomic, Relaxed};
use kprobes::{kprobe, Context, KprobeSet, Target};

module! {
    type: FuncCount,
    name: "funccount",
    authors: ["The rust_kprobe authors"],
    description: "Counts the calls of functions",
    license: "GPL",
}

kprobes::string_param!(functions, "The functions to count, separated by commas");

struct Counts {
    functions: KVec<(CString, Atomic<u64>)>,
}

#[vtable]
impl kprobe::Handler for Counts {
    fn pre(&self, cx: &Context<'_>) {
        if let Some((_, count)) = self.functions.get(cx.index()) {
            count.fetch_add(1, Relaxed);
        }
    }

    fn unregistered(&self, missed: usize) {
        // Selection sort, the largest first: there are few, and this runs once.
        let mut last = (u64::MAX, usize::MAX);
        for _ in 0..self.functions.len() {
            let all = self.functions.iter().enumerate();
            let next = all
                .map(|(n, (_, count))| (count.load(Relaxed), usize::MAX - 1 - n))
                .filter(|&key| key < last)
                .max();
            let Some(next) = next else { return };
            last = next;
            if let Some((name, _)) = self.functions.get(usize::MAX - 1 - next.1) {
                pr_info!("{:>10} {}\n", next.0, &**name);
            }
        }
        pr_info!("{missed} missed\n");
    }
}

struct FuncCount {
    _set: Pin<KBox<KprobeSet<Counts>>>,
}

impl kernel::Module for FuncCount {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let Some(names) = functions.value() else {
            pr_err!("functions= is missing\n");
            return Err(EINVAL);
        };
        let mut counts = KVec::new();
        for name in names.to_bytes().split(|&b| b == b',') {
            let name = core::str::from_utf8(name).map_err(|_| EINVAL)?;
            let name = CString::try_from_fmt(fmt!("{name}"))?;
            counts.push((name, Atomic::new(0)), GFP_KERNEL)?;
        }

        // The handler owns the names, but the targets borrow them until registration.
        let mut names = KVec::new();
        for (name, _) in counts.iter() {
            names.push(CString::try_from_fmt(fmt!("{}", &**name))?, GFP_KERNEL)?;
        }
        let mut targets = KVec::new();
        for name in names.iter() {
            targets.push(Target::symbol(name), GFP_KERNEL)?;
        }
        let set = KprobeSet::where_possible(&targets, Counts { functions: counts });
        let set = KBox::pin_init(set, GFP_KERNEL)?;
        for refusal in set.refused() {
            if let Some(name) = refusal.target().and_then(|n| names.get(n)) {
                pr_err!("{}: {:?}\n", &**name, refusal.error());
            }
        }
        Ok(Self { _set: set })
    }
}
