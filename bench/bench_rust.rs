// SPDX-License-Identifier: GPL-2.0

//! The probes of the benchmark in Rust; `kind` chooses one. `bench_c.c` has the same
//! probes in C, with the same names. `single` and `set` are `n` kprobes, one by one or as a
//! set. How long attaching and detaching took is logged.

use kernel::prelude::*;
use kernel::str::CString;
use kernel::time::{Instant, Monotonic};
use kprobes::{
    kprobe, kretprobe, nofault::UserPtr, timed, tracepoint, Count, CountMap, Kprobe, KprobeSet,
    Kretprobe, PerCpuCounts, Stack, Target, Timed, Tracepoint,
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
        n: u32 {
            default: 1,
            description: "How many, up to 1000",
        },
    },
}

kprobes::string_param!(kind, "the probe to register");

static COUNT: Count = Count::new();

kprobes::per_cpu_counts! {
    static LATENCIES: 40;
}

struct Empty;

#[vtable]
impl kprobe::Handler for Empty {
    fn pre(&self, _cx: &kprobe::Context<'_>) {}
}

struct Counting;

#[vtable]
impl kprobe::Handler for Counting {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        COUNT.add(1);
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

/// Counts by the calls that lead to the function.
struct ByStack(CountMap<Stack<16>>);

#[vtable]
impl kprobe::Handler for ByStack {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        self.0.add(cx.stack(), 1);
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

struct If<const VALUE: u64>;

#[vtable]
impl<const VALUE: u64> kprobe::Handler for If<VALUE> {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        if cx.arg0::<u64>() == VALUE {
            COUNT.add(1);
        }
    }
}

struct String16;

#[vtable]
impl kprobe::Handler for String16 {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        let string: UserPtr<[u8; 16]> = cx.arg1();
        if let Ok(bytes) = string.read() {
            COUNT.add(u64::from(bytes[0]));
        }
    }
}

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

struct Histogram;

#[vtable]
impl timed::Handler for Histogram {
    fn ret(&self, _cx: &timed::ReturnContext<'_>, ns: u64) {
        LATENCIES.inc(((ns | 1).ilog2() as usize).min(39));
    }
}

#[vtable]
impl tracepoint::Handler for Counting {
    type Args = ();

    fn hit(&self, _cx: &tracepoint::Context<'_>, (): ()) {
        COUNT.add(1);
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

struct Bench(Option<KBox<dyn Registered>>);

impl kernel::Module for Bench {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let call = Target::symbol(c"bench_call");
        let inside =
            Target::symbol(c"bench_inside").offset(kprobes::param(&module_parameters::inside));
        let mut names = KVVec::new();
        for i in 0..kprobes::param(&module_parameters::n) {
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
        let registered = match kind.value().map(|text| text.to_bytes()) {
            Some(b"kprobe_empty") => register(Kprobe::new(call, Empty))?,
            Some(b"kprobe_counting") => register(Kprobe::new(call, Counting))?,
            Some(b"kprobe_percpu") => register(Kprobe::new(call, PerCpu(PerCpuCounts::new()?)))?,
            Some(b"kprobe_by_pid") => register(Kprobe::new(call, ByPid(CountMap::new(1000)?)))?,
            Some(b"kprobe_by_stack") => register(Kprobe::new(call, ByStack(CountMap::new(1000)?)))?,
            Some(b"kprobe_post") => register(Kprobe::new(call, WithPost))?,
            Some(b"kprobe_jump") => register(Kprobe::new(inside, Counting))?,
            Some(b"kprobe_int3") => register(Kprobe::new(inside, WithPost))?,
            Some(b"condition_false") => register(Kprobe::new(call, If::<7>))?,
            Some(b"condition_true") => register(Kprobe::new(call, If::<42>))?,
            Some(b"user_string") => register(Kprobe::new(call, String16))?,
            Some(b"kretprobe_empty") => register(Kretprobe::new(call, Empty))?,
            Some(b"kretprobe_data") => register(Kretprobe::new(call, Argument))?,
            Some(b"kretprobe_histogram") => register(Timed::new(call, Histogram))?,
            Some(b"tracepoint") => register(Tracepoint::new(c"kmalloc", Counting))?,
            Some(b"set") => register(KprobeSet::new(&targets, Counting))?,
            Some(b"single") => {
                let mut singles = KVVec::with_capacity(targets.len(), GFP_KERNEL)?;
                for target in targets.iter() {
                    let single = KBox::pin_init(Kprobe::new(*target, Counting), GFP_KERNEL)?;
                    singles.push(single, GFP_KERNEL)?;
                }
                KBox::new(singles, GFP_KERNEL)? as KBox<dyn Registered>
            }
            _ => return Err(EINVAL),
        };
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
