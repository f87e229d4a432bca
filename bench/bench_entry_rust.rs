// SPDX-License-Identifier: GPL-2.0

//! The entry probes of the benchmark in Rust; `kind` chooses the handler, `pattern`
//! the functions. Logs how long attaching and detaching took. `bench_entry_c.c` has
//! the same in C.

use kernel::prelude::*;
use kernel::time::{Instant, Monotonic};
use kprobes::{entry, Count, CountMap, Entry, EntrySet, PerCpuCounts, Target};

module! {
    type: Bench,
    name: "bench_entry_rust",
    authors: ["The rust_kprobe authors"],
    description: "The entry probes of the benchmark in Rust",
    license: "GPL",
}

kprobes::string_param!(kind, "the handler");
kprobes::string_param!(pattern, "the functions; by default, bench_call by its name");

struct Empty;

impl entry::Handler for Empty {
    fn entry(&self, _cx: &entry::Context<'_>) {}
}

struct Counting(Count);

impl entry::Handler for Counting {
    fn entry(&self, _cx: &entry::Context<'_>) {
        self.0.add(1);
    }
}

struct PerCpu(PerCpuCounts<1>);

impl entry::Handler for PerCpu {
    fn entry(&self, _cx: &entry::Context<'_>) {
        self.0.inc(0);
    }
}

struct Arguments(PerCpuCounts<1>);

impl entry::Handler for Arguments {
    fn entry(&self, cx: &entry::Context<'_>) {
        let (a, b): (u64, u64) = cx.args();
        if a == 42 && b != 0 {
            self.0.inc(0);
        }
    }
}

/// Counts by process.
struct ByPid(CountMap<i32>);

impl entry::Handler for ByPid {
    fn entry(&self, cx: &entry::Context<'_>) {
        self.0.add(cx.pid(), 1);
    }
}

/// Counts by the first argument.
struct ByArgument(CountMap<u64>);

impl entry::Handler for ByArgument {
    fn entry(&self, cx: &entry::Context<'_>) {
        self.0.add(cx.arg0(), 1);
    }
}

/// What is registered. Dropping it unregisters it.
trait Registered: Send + Sync {}
impl<H: entry::Handler> Registered for Pin<KBox<Entry<H>>> {}
impl<H: entry::Handler> Registered for Pin<KBox<EntrySet<H>>> {}

struct Bench(Option<KBox<dyn Registered>>);

fn register<H: entry::Handler>(handler: H) -> Result<KBox<dyn Registered>> {
    let Some(text) = pattern.value() else {
        let call = Target::symbol(c"bench_call");
        let single = KBox::pin_init(Entry::new(call, handler), GFP_KERNEL)?;
        return Ok(KBox::new(single, GFP_KERNEL)?);
    };
    let set = KBox::pin_init(EntrySet::matching(text, handler), GFP_KERNEL)?;
    pr_info!("functions {}\n", set.len());
    Ok(KBox::new(set, GFP_KERNEL)?)
}

impl kernel::Module for Bench {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let start = Instant::<Monotonic>::now();
        let registered = match kind.value().map(|text| text.to_bytes()) {
            Some(b"empty") => register(Empty)?,
            Some(b"counting") => register(Counting(Count::new()))?,
            Some(b"percpu") => register(PerCpu(PerCpuCounts::new()?))?,
            Some(b"args") => register(Arguments(PerCpuCounts::new()?))?,
            Some(b"by_pid") => register(ByPid(CountMap::new(1000)?))?,
            Some(b"by_argument") => register(ByArgument(CountMap::new(100_000)?))?,
            _ => return Err(EINVAL),
        };
        pr_info!("attach {}\n", start.elapsed().as_nanos());
        Ok(Self(Some(registered)))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let start = Instant::<Monotonic>::now();
        self.0 = None;
        pr_info!("detach {}\n", start.elapsed().as_nanos());
    }
}
