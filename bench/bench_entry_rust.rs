// SPDX-License-Identifier: GPL-2.0

//! The entry probes of the benchmark in Rust, and kprobes and entry probes that emit trace
//! events; `kind` chooses the handler, `pattern` the functions. How long attaching and
//! detaching took is logged. `bench_entry_c.c` has the same in C.

use kernel::prelude::*;
use kernel::time::{Instant, Monotonic};
use kprobes::{
    entry, event::Str, kprobe, nofault::UserStr, CountMap, Entry, EntrySet, Kprobe, PerCpuCounts,
    Target,
};

module! {
    type: Bench,
    name: "bench_entry_rust",
    authors: ["The rust_kprobe authors"],
    description: "The entry probes and trace events of the benchmark in Rust",
    license: "GPL",
}

kprobes::string_param!(kind, "the handler");
kprobes::string_param!(pattern, "the functions; by default, bench_call by its name");

kprobes::trace_event! {
    struct Value = "bench_rust:value" {
        value: u64,
    }
}

kprobes::trace_event! {
    struct Text<'a> = "bench_rust:text" {
        value: u64,
        text: Str<'a, 32>,
    }
}

struct Empty;

#[vtable]
impl entry::Handler for Empty {
    fn entry(&self, _cx: &entry::Context<'_>) {}
}

struct Counting(kprobes::Count);

#[vtable]
impl entry::Handler for Counting {
    fn entry(&self, _cx: &entry::Context<'_>) {
        self.0.add(1);
    }
}

struct PerCpu(PerCpuCounts<1>);

#[vtable]
impl entry::Handler for PerCpu {
    fn entry(&self, _cx: &entry::Context<'_>) {
        self.0.inc(0);
    }
}

struct Arguments(PerCpuCounts<1>);

#[vtable]
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

#[vtable]
impl entry::Handler for ByPid {
    fn entry(&self, cx: &entry::Context<'_>) {
        self.0.add(cx.pid(), 1);
    }
}

/// Counts by the first argument.
struct ByArgument(CountMap<u64>);

#[vtable]
impl entry::Handler for ByArgument {
    fn entry(&self, cx: &entry::Context<'_>) {
        self.0.add(cx.arg0(), 1);
    }
}

struct Values;

#[vtable]
impl kprobe::Handler for Values {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        Value { value: cx.arg0() }.emit(cx);
    }
}

#[vtable]
impl entry::Handler for Values {
    fn entry(&self, cx: &entry::Context<'_>) {
        Value { value: cx.arg0() }.emit(cx);
    }
}

struct Texts;

#[vtable]
impl kprobe::Handler for Texts {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        let (value, text): (u64, UserStr) = cx.args();
        let mut buf = [0; 32];
        let text = text.read(&mut buf).into();
        Text { value, text }.emit(cx);
    }
}

#[vtable]
impl entry::Handler for Texts {
    fn entry(&self, cx: &entry::Context<'_>) {
        let (value, text): (u64, UserStr) = cx.args();
        let mut buf = [0; 32];
        let text = text.read(&mut buf).into();
        Text { value, text }.emit(cx);
    }
}

/// What is registered. Dropping it unregisters it.
trait Registered: Send + Sync {}
impl<T: Send + Sync> Registered for T {}

fn register<T: Registered + 'static>(
    probe: impl PinInit<T, Error>,
) -> Result<KBox<dyn Registered>> {
    Ok(KBox::new(KBox::pin_init(probe, GFP_KERNEL)?, GFP_KERNEL)?)
}

const CALL: Target<'static> = Target::symbol(c"bench_call");

fn entry<H: entry::Handler>(handler: H) -> Result<KBox<dyn Registered>> {
    match pattern.value() {
        Some(text) => register(EntrySet::matching(text, handler)),
        None => register(Entry::new(CALL, handler)),
    }
}

struct Bench(Option<KBox<dyn Registered>>);

impl kernel::Module for Bench {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let start = Instant::<Monotonic>::now();
        let registered = match kind.value().map(|text| text.to_bytes()) {
            Some(b"empty") => entry(Empty)?,
            Some(b"counting") => entry(Counting(kprobes::Count::new()))?,
            Some(b"percpu") => entry(PerCpu(PerCpuCounts::new()?))?,
            Some(b"args") => entry(Arguments(PerCpuCounts::new()?))?,
            Some(b"by_pid") => entry(ByPid(CountMap::new(1000)?))?,
            Some(b"by_argument") => entry(ByArgument(CountMap::new(100_000)?))?,
            Some(b"value") => register(Value::arms(Kprobe::new(CALL, Values)))?,
            Some(b"value_entry") => register(Value::arms(Entry::new(CALL, Values)))?,
            Some(b"text") => register(Text::arms(Kprobe::new(CALL, Texts)))?,
            Some(b"text_entry") => register(Text::arms(Entry::new(CALL, Texts)))?,
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
