// SPDX-License-Identifier: GPL-2.0

//! Attaches and detaches many kprobes in Rust, one by one or as a set, and logs how
//! long that took. `bench_many_c.c` does the same in C.

use kernel::prelude::*;
use kernel::str::CString;
use kernel::time::{Instant, Monotonic};
use kprobes::{kprobe, Count, Kprobe, KprobeSet, Target};

module! {
    type: Many,
    name: "bench_many_rust",
    authors: ["The rust_kprobe authors"],
    description: "Attaches many kprobes in Rust",
    license: "GPL",
    params: {
        n: u32 {
            default: 1,
            description: "How many, up to 1000",
        },
        set: u32 {
            default: 0,
            description: "1: as a set",
        },
    },
}

static COUNT: Count = Count::new();

struct Counting;

#[vtable]
impl kprobe::Handler for Counting {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        COUNT.add(1);
    }
}

enum Many {
    Singles(KVVec<Pin<KBox<Kprobe<Counting>>>>),
    Set(Option<Pin<KBox<KprobeSet<Counting>>>>),
}

impl kernel::Module for Many {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let n = kprobes::param(&module_parameters::n);
        let mut names = KVVec::new();
        for i in 0..n {
            names.push(
                CString::try_from_fmt(fmt!("bench_many_{i:03}"))?,
                GFP_KERNEL,
            )?;
        }
        let mut targets = KVVec::new();
        for name in names.iter() {
            targets.push(Target::symbol(name), GFP_KERNEL)?;
        }
        let start = Instant::<Monotonic>::now();
        let many = if kprobes::param(&module_parameters::set) == 1 {
            Self::Set(Some(KBox::pin_init(
                KprobeSet::new(&targets, Counting),
                GFP_KERNEL,
            )?))
        } else {
            let mut singles = KVVec::with_capacity(targets.len(), GFP_KERNEL)?;
            for target in targets.iter() {
                singles.push(
                    KBox::pin_init(Kprobe::new(*target, Counting), GFP_KERNEL)?,
                    GFP_KERNEL,
                )?;
            }
            Self::Singles(singles)
        };
        pr_info!("attach {}\n", start.elapsed().as_nanos());
        pr_info!("bytes {}\n", size_of::<Kprobe<Counting>>());
        Ok(many)
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        let start = Instant::<Monotonic>::now();
        match self {
            Self::Singles(singles) => singles.clear(),
            Self::Set(set) => *set = None,
        }
        pr_info!("detach {}\n", start.elapsed().as_nanos());
    }
}
