// SPDX-License-Identifier: GPL-2.0

//! The probes of the benchmark in Rust; `kind` chooses one. `bench_c.c` has the same probes in C,
//! with the same names. `single` and `set` register `n` kprobes, one by one or as a set, and log
//! how long attaching and detaching took.

use kernel::prelude::*;
use kernel::str::CString;
use kernel::time::{Instant, Monotonic};
use kprobes::{
    entry, event::Str, kprobe, kretprobe, nofault, timed, tracepoint, AtCall, Context, Count,
    CountMap, Entry, EntrySet, Kprobe, KprobeSet, Kretprobe, PerCpuCounts, Target, Timed,
    Tracepoint,
};

module! {
    type: Bench,
    name: "bench_rust",
    description: "The probes and trace events of the benchmark in Rust",
    license: "GPL",
    params: {
        inside: u32 {
            default: 0,
            description: "An offset in bench_inside",
        },
        n: u32 {
            default: 1,
            description: "How many, up to 1000",
        },
    },
}

kprobes::string_param!(kind, "the probe to register");
kprobes::string_param!(
    pattern,
    "the functions of entry probes; by default, bench_call by name"
);

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

static COUNT: Count = Count::new();

kprobes::per_cpu_counts! {
    static LATENCIES: 40;
}

struct On<F>(F);

#[vtable]
impl<F: Fn(&kprobe::Context<'_>) + Send + Sync + 'static> kprobe::Handler for On<F> {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        self.0(cx);
    }
}

#[vtable]
impl<F: Fn(&entry::Context<'_>) + Send + Sync + 'static> entry::Handler for On<F> {
    fn entry(&self, cx: &entry::Context<'_>) {
        self.0(cx);
    }
}

struct WithPost;

#[vtable]
impl kprobe::Handler for WithPost {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        COUNT.add(1);
    }

    fn post(&self, _cx: &kprobe::PostContext<'_>) {}
}

struct Empty;

#[vtable]
impl kretprobe::Handler for Empty {
    type Data = ();

    fn ret(&self, _cx: &kretprobe::ReturnContext<'_>, (): ()) {}
}

struct Argument;

#[vtable]
impl kretprobe::Handler for Argument {
    type Data = u64;

    fn entry(&self, cx: &kretprobe::Context<'_>) -> Option<u64> {
        Some(cx.arg0())
    }

    fn ret(&self, _cx: &kretprobe::ReturnContext<'_>, data: u64) {
        COUNT.add(data);
    }
}

struct Latencies;

#[vtable]
impl timed::Handler for Latencies {
    type Data = ();

    fn ret(&self, _cx: &timed::ReturnContext<'_>, (): (), ns: u64) {
        LATENCIES.inc(((ns | 1).ilog2() as usize).min(39));
    }
}

struct Counting;

#[vtable]
impl kprobe::Handler for Counting {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        COUNT.add(1);
    }
}

#[vtable]
impl tracepoint::Handler for Counting {
    type Args = ();

    fn hit(&self, _cx: &tracepoint::Context<'_>, (): ()) {
        COUNT.add(1);
    }
}

#[inline(always)]
fn emit_value<At: AtCall>(cx: &Context<'_, At>) {
    Value { value: cx.arg0() }.emit(cx);
}

#[inline(always)]
fn emit_text<At: AtCall>(cx: &Context<'_, At>) {
    let (value, text): (u64, nofault::UserStr) = cx.args();
    let mut buf = [0; 32];
    let text = text.read(&mut buf).into();
    Text { value, text }.emit(cx);
}

trait Registered: Send + Sync {}
impl<T: Send + Sync> Registered for T {}

type Held = KBox<dyn Registered>;

fn register<T: Registered + 'static>(probe: impl PinInit<T, Error>) -> Result<Held> {
    Ok(KBox::new(KBox::pin_init(probe, GFP_KERNEL)?, GFP_KERNEL)?)
}

const CALL: Target<'static> = Target::symbol(c"bench_call");

fn kprobe<F: Fn(&kprobe::Context<'_>) + Send + Sync + 'static>(handler: F) -> Result<Held> {
    register(Kprobe::new(CALL, On(handler)))
}

fn entry<F: Fn(&entry::Context<'_>) + Send + Sync + 'static>(handler: F) -> Result<Held> {
    match pattern.value() {
        Some(text) => register(EntrySet::matching(text, On(handler))),
        None => register(Entry::new(CALL, On(handler))),
    }
}

fn singles(targets: &[Target<'_>]) -> Result<Held> {
    let mut singles = KVVec::with_capacity(targets.len(), GFP_KERNEL)?;
    for &target in targets {
        let single = KBox::pin_init(Kprobe::new(target, Counting), GFP_KERNEL)?;
        singles.push(single, GFP_KERNEL)?;
    }
    Ok(KBox::new(singles, GFP_KERNEL)?)
}

fn register_kind(targets: &[Target<'_>]) -> Result<Held> {
    let inside = Target::symbol(c"bench_inside").offset(kprobes::param(&module_parameters::inside));
    let count = Count::new();
    let counts = PerCpuCounts::<1>::new()?;
    match kind.value().ok_or(EINVAL)?.to_bytes() {
        b"kprobe_empty" => kprobe(|_| {}),
        b"kprobe_counting" => kprobe(|_| COUNT.add(1)),
        b"kprobe_percpu" => kprobe(move |_| counts.inc(0)),
        b"kprobe_by_pid" => {
            let map = CountMap::<i32>::new(1000)?;
            kprobe(move |cx| map.add(cx.pid(), 1))
        }
        b"kprobe_by_stack" => {
            let map = CountMap::new(1000)?;
            kprobe(move |cx| map.add(cx.stack::<16>(), 1))
        }
        b"kprobe_post" => register(Kprobe::new(CALL, WithPost)),
        b"kprobe_jump" => register(Kprobe::new(inside, Counting)),
        b"kprobe_int3" => register(Kprobe::new(inside, WithPost)),
        b"condition_false" => kprobe(|cx| {
            if cx.arg0::<u64>() == 7 {
                COUNT.add(1);
            }
        }),
        b"condition_true" => kprobe(|cx| {
            if cx.arg0::<u64>() == 42 {
                COUNT.add(1);
            }
        }),
        b"user_string" => kprobe(|cx| {
            let string: nofault::UserPtr<[u8; 16]> = cx.arg1();
            if let Ok(bytes) = string.read() {
                COUNT.add(u64::from(bytes[0]));
            }
        }),
        b"kretprobe_empty" => register(Kretprobe::new(CALL, Empty)),
        b"kretprobe_data" => register(Kretprobe::new(CALL, Argument)),
        b"kretprobe_histogram" => register(Timed::new(CALL, Latencies)),
        b"tracepoint" => register(Tracepoint::new(c"kmalloc", Counting)),
        b"entry_empty" => entry(|_| {}),
        b"entry_counting" => entry(move |_| count.add(1)),
        b"entry_percpu" => entry(move |_| counts.inc(0)),
        b"entry_args" => entry(move |cx| {
            let (a, b): (u64, u64) = cx.args();
            if a == 42 && b != 0 {
                counts.inc(0);
            }
        }),
        b"entry_by_pid" => {
            let map = CountMap::<i32>::new(1000)?;
            entry(move |cx| map.add(cx.pid(), 1))
        }
        b"entry_by_key" => {
            let map = CountMap::<u64>::new(100_000)?;
            entry(move |cx| map.add(cx.arg0(), 1))
        }
        b"event" => register(Value::arms(Kprobe::new(CALL, On(emit_value)))),
        b"event_entry" => register(Value::arms(Entry::new(CALL, On(emit_value)))),
        b"event_string" => register(Text::arms(Kprobe::new(CALL, On(emit_text)))),
        b"event_entry_string" => register(Text::arms(Entry::new(CALL, On(emit_text)))),
        b"set" => register(KprobeSet::new(targets, Counting)),
        b"single" => singles(targets),
        _ => Err(EINVAL),
    }
}

struct Bench(Option<Held>);

impl kernel::Module for Bench {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut names = KVVec::new();
        for i in 0..kprobes::param(&module_parameters::n) {
            let name = CString::try_from_fmt(fmt!("bench_many_{i:03}"))?;
            names.push(name, GFP_KERNEL)?;
        }
        let mut targets = KVVec::new();
        for name in names.iter() {
            targets.push(Target::symbol(name), GFP_KERNEL)?;
        }
        let start = Instant::<Monotonic>::now();
        let registered = register_kind(&targets)?;
        pr_info!("attach {}\n", start.elapsed().as_nanos());
        pr_info!("bytes {}\n", size_of::<Kprobe<Counting>>());
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
