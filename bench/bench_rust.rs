// SPDX-License-Identifier: GPL-2.0

//! The probes of the benchmark in Rust; `kind` chooses one. `bench_c.c` has the same
//! probes in C, with the same names.

use kernel::prelude::*;
use kprobes::{
    kprobe, kretprobe, nofault::UserPtr, timed, tracepoint, Count, CountMap, Kprobe, Kretprobe,
    PerCpuCounts, Target, Timed, Tracepoint,
};

module! {
    type: Bench,
    name: "bench_rust",
    authors: ["The rust_kprobe authors"],
    description: "The probes of the benchmark in Rust",
    license: "GPL",
    params: {
        inside: u32 {
            default: 0,
            description: "An offset in bench_inside",
        },
    },
}

kprobes::string_param!(kind, "the probe to register");

struct Empty;

#[vtable]
impl kprobe::Handler for Empty {
    fn pre(&self, _cx: &kprobe::Context<'_>) {}
}

struct Counting(Count);

#[vtable]
impl kprobe::Handler for Counting {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        self.0.add(1);
    }
}

struct PerCpu(PerCpuCounts<1>);

#[vtable]
impl kprobe::Handler for PerCpu {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        self.0.inc(0);
    }
}

/// Counts by process.
struct ByPid(CountMap<i32>);

#[vtable]
impl kprobe::Handler for ByPid {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        self.0.add(cx.pid(), 1);
    }
}

struct WithPost(Count);

#[vtable]
impl kprobe::Handler for WithPost {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        self.0.add(1);
    }

    fn post(&self, _cx: &kprobe::PostContext<'_>) {}
}

struct If<const VALUE: u64>(Count);

#[vtable]
impl<const VALUE: u64> kprobe::Handler for If<VALUE> {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        if cx.arg0::<u64>() == VALUE {
            self.0.add(1);
        }
    }
}

struct String16(Count);

#[vtable]
impl kprobe::Handler for String16 {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        let string: UserPtr<[u8; 16]> = cx.arg1();
        if let Ok(bytes) = string.read() {
            self.0.add(u64::from(bytes[0]));
        }
    }
}

struct RetEmpty;

#[vtable]
impl kretprobe::Handler for RetEmpty {
    type Data = ();

    fn ret(&self, _cx: &kretprobe::ReturnContext<'_>, (): ()) {}
}

struct RetData(Count);

#[vtable]
impl kretprobe::Handler for RetData {
    type Data = u64;

    fn entry(&self, cx: &kretprobe::Context<'_>) -> Option<u64> {
        Some(cx.arg0())
    }

    fn ret(&self, _cx: &kretprobe::ReturnContext<'_>, data: u64) {
        self.0.add(data);
    }
}

kprobes::per_cpu_counts! {
    static LATENCIES: 40;
}

struct Histogram;

impl timed::Handler for Histogram {
    fn ret(&self, _cx: &timed::ReturnContext<'_>, ns: u64) {
        LATENCIES.inc(((ns | 1).ilog2() as usize).min(39));
    }
}

struct Kmalloc(Count);

impl tracepoint::Handler for Kmalloc {
    type Args = ();

    fn hit(&self, _cx: &tracepoint::Context<'_>, (): ()) {
        self.0.add(1);
    }
}

/// The probe that is registered.
#[expect(dead_code, reason = "held to stay registered")]
enum Bench {
    Empty(Pin<KBox<Kprobe<Empty>>>),
    Counting(Pin<KBox<Kprobe<Counting>>>),
    PerCpu(Pin<KBox<Kprobe<PerCpu>>>),
    ByPid(Pin<KBox<Kprobe<ByPid>>>),
    WithPost(Pin<KBox<Kprobe<WithPost>>>),
    If7(Pin<KBox<Kprobe<If<7>>>>),
    If42(Pin<KBox<Kprobe<If<42>>>>),
    String16(Pin<KBox<Kprobe<String16>>>),
    RetEmpty(Pin<KBox<Kretprobe<RetEmpty>>>),
    RetData(Pin<KBox<Kretprobe<RetData>>>),
    Histogram(Pin<KBox<Timed<Histogram>>>),
    Kmalloc(Pin<KBox<Tracepoint<Kmalloc>>>),
}

fn kprobe<H: kprobe::Handler>(target: Target<'_>, handler: H) -> Result<Pin<KBox<Kprobe<H>>>> {
    KBox::pin_init(Kprobe::new(target, handler), GFP_KERNEL)
}

fn kretprobe<H: kretprobe::Handler>(
    target: Target<'_>,
    handler: impl PinInit<H>,
) -> Result<Pin<KBox<Kretprobe<H>>>> {
    KBox::pin_init(Kretprobe::new(target, handler), GFP_KERNEL)
}

impl kernel::Module for Bench {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let call = Target::symbol(c"bench_call");
        let inside =
            Target::symbol(c"bench_inside").offset(kprobes::param(&module_parameters::inside));
        let count = Count::new();
        Ok(match kind.value().map(|text| text.to_bytes()) {
            Some(b"kprobe_empty") => Self::Empty(kprobe(call, Empty)?),
            Some(b"kprobe_counting") => Self::Counting(kprobe(call, Counting(count))?),
            Some(b"kprobe_percpu") => Self::PerCpu(kprobe(call, PerCpu(PerCpuCounts::new()?))?),
            Some(b"kprobe_by_pid") => Self::ByPid(kprobe(call, ByPid(CountMap::new(1000)?))?),
            Some(b"kprobe_post") => Self::WithPost(kprobe(call, WithPost(count))?),
            Some(b"kprobe_jump") => Self::Counting(kprobe(inside, Counting(count))?),
            Some(b"kprobe_int3") => Self::WithPost(kprobe(inside, WithPost(count))?),
            Some(b"condition_false") => Self::If7(kprobe(call, If(count))?),
            Some(b"condition_true") => Self::If42(kprobe(call, If(count))?),
            Some(b"user_string") => Self::String16(kprobe(call, String16(count))?),
            Some(b"kretprobe_empty") => Self::RetEmpty(kretprobe(call, RetEmpty)?),
            Some(b"kretprobe_data") => Self::RetData(kretprobe(call, RetData(count))?),
            Some(b"kretprobe_histogram") => {
                Self::Histogram(KBox::pin_init(Timed::new(call, Histogram), GFP_KERNEL)?)
            }
            Some(b"tracepoint") => {
                let tracepoint = Tracepoint::new(c"kmalloc", Kmalloc(count));
                Self::Kmalloc(KBox::pin_init(tracepoint, GFP_KERNEL)?)
            }
            _ => return Err(EINVAL),
        })
    }
}
