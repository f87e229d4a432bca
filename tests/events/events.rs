// SPDX-License-Identifier: GPL-2.0

//! Trace events for `tests/inside/events_*.py`, of every kind of field, and probes of
//! every kind that they arm.

#![forbid(unsafe_code)]

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};
use kprobes::{
    entry,
    event::{
        Armed,
        Errno,
        Hex,
        Str,
        Symbol, //
    },
    kprobe,
    kretprobe,
    nofault::{
        KernelPtr,
        KernelStr, //
    },
    tracepoint,
    Comm,
    Entry,
    EntrySet,
    Kprobe,
    KprobeSet,
    KretprobeSet,
    Target,
    Tracepoint, //
};

module! {
    type: Events,
    name: "events",
    authors: ["Rust kprobe"],
    description: "Tests of trace events",
    license: "GPL",
}

kprobes::trace_event! {
    /// 8 bytes.
    struct Number = "events_test:number" {
        value: u64,
    }
}

kprobes::trace_event! {
    /// Fields of every kind, with padding between them.
    struct Everything<'a> = "events_test:everything" {
        small: u8,
        negative: i64,
        truth: bool,
        word: u16,
        hex: Hex<u32>,
        list: [u16; 3],
        bytes: [i8; 2],
        task: Comm,
        at: KernelPtr,
        function: Symbol,
        minus: i16,
        text: Str<'a, 16>,
        result: Errno,
        more: Str<'a, 300>,
        last: u8,
    }
}

kprobes::trace_event! {
    /// A line of its own, with characters that a tool would take for its own.
    struct Line = "events_test:line" as "100% \"{n}\" is {{{result}}}" {
        result: Errno,
        n: i32,
    }
}

kprobes::trace_event! {
    /// From the same probe as `Line`.
    struct Other = "events_test:other" {
        n: i32,
    }
}

kprobes::trace_event! {
    /// At a tracepoint of the kernel's.
    struct Signal = "events_test:signal" {
        signal: i32,
    }
}

kprobes::trace_event! {
    /// From a set, one of whose members cannot be armed while somebody else changes it.
    struct Set = "events_test:set" {
        index: u32,
    }
}

kprobes::trace_event! {
    /// Leaves no zeroes in a buffer. It arms nothing.
    struct Filler = "events_test:filler" {
        all: [u64; 16],
    }
}

kprobes::trace_event! {
    /// Of no probe.
    struct Quiet = "events_test:quiet" {
        nothing: u8,
    }
}

kprobes::trace_event! {
    /// At the entry of a function.
    struct Entered = "events_test:entered" {
        value: u64,
    }
}

kprobes::trace_event! {
    /// At the entries of two functions, one of which is that of `Entered`.
    struct Both = "events_test:both" {
        value: u64,
        index: u32,
    }
}

/// How many handlers have run, and how many events were emitted while nobody listened.
struct Counts {
    hits: Atomic<u64>,
    unheard: Atomic<u64>,
}

static COUNTS: Counts = Counts {
    hits: Atomic::new(0),
    unheard: Atomic::new(0),
};

struct Numbers;

#[vtable]
impl kprobe::Handler for Numbers {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        COUNTS.hits.fetch_add(1, Relaxed);
        if !Number::is_enabled() {
            COUNTS.unheard.fetch_add(1, Relaxed);
        }
        Number { value: cx.arg0() }.emit(cx);
    }
}

struct Texts;

#[vtable]
impl kprobe::Handler for Texts {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        let (text, length): (KernelStr, usize) = cx.args();
        let mut buf = [0; 300];
        let text = text.read(&mut buf);
        Filler {
            all: [u64::MAX; 16],
        }
        .emit(cx);
        Everything {
            small: 200,
            negative: -(length as i64),
            truth: true,
            word: 0x1234,
            hex: Hex(0xbeef),
            list: [1, 2, 0xffff],
            bytes: [-1, 2],
            task: cx.comm(),
            at: cx.arg0(),
            function: Symbol(cx.address()),
            minus: -3,
            text: text.into(),
            result: ENOENT.into(),
            more: text.into(),
            last: 7,
        }
        .emit(cx);
    }
}

struct Bound;

#[vtable]
impl kretprobe::Handler for Bound {
    type Data = i32;

    fn entry(&self, cx: &kretprobe::Context<'_>) -> Option<i32> {
        Some(cx.arg0())
    }

    fn ret(&self, cx: &kretprobe::ReturnContext<'_>, n: i32) {
        let result = cx.ret::<Result<i32>>().into();
        Line { result, n }.emit(cx);
        Other { n }.emit(cx);
    }
}

struct Signals;

impl tracepoint::Handler for Signals {
    type Args = (i32,);

    fn hit(&self, cx: &tracepoint::Context<'_>, (signal,): Self::Args) {
        Signal { signal }.emit(cx);
    }
}

struct Members;

#[vtable]
impl kprobe::Handler for Members {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        Set {
            index: cx.index() as u32,
        }
        .emit(cx);
    }
}

struct Enters;

impl entry::Handler for Enters {
    fn entry(&self, cx: &entry::Context<'_>) {
        COUNTS.hits.fetch_add(1, Relaxed);
        if !Entered::is_enabled() {
            COUNTS.unheard.fetch_add(1, Relaxed);
        }
        Entered { value: cx.arg0() }.emit(cx);
    }
}

struct EntersBoth;

impl entry::Handler for EntersBoth {
    fn entry(&self, cx: &entry::Context<'_>) {
        Both {
            value: cx.arg0(),
            index: cx.index() as u32,
        }
        .emit(cx);
    }
}

struct Events {
    _numbers: Pin<KBox<Armed<Kprobe<Numbers>>>>,
    _texts: Pin<KBox<Armed<Kprobe<Texts>>>>,
    _bound: Pin<KBox<Armed<Armed<KretprobeSet<Bound>>>>>,
    _signals: Pin<KBox<Armed<Tracepoint<Signals>>>>,
    _members: Pin<KBox<Armed<KprobeSet<Members>>>>,
    _enters: Pin<KBox<Armed<Entry<Enters>>>>,
    _enters_both: Pin<KBox<Armed<EntrySet<EntersBoth>>>>,
}

impl kernel::Module for Events {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let [number, text, bound, entered, entered_too] = [
            c"events_number",
            c"events_text",
            c"events_bound",
            c"events_entered",
            c"events_entered_too",
        ]
        .map(Target::symbol);
        let disabled = kprobe::Options::default().disabled();
        let enters_disabled = entry::Options::default().disabled();
        let members = [text, bound];
        let bounds = [bound];
        let both = [entered, entered_too];

        let numbers = Number::arms(Kprobe::with_options(number, disabled, Numbers));
        let texts = Everything::arms(Kprobe::with_options(text, disabled, Texts));
        let options = kretprobe::Options::default().disabled();
        let bounds = KretprobeSet::with_options(&bounds, options, Bound);
        let bounds = Line::arms(Other::arms(bounds));
        let signals = Signal::arms(Tracepoint::new(c"signal_generate", Signals));
        let members = Set::arms(KprobeSet::with_options(&members, disabled, Members));
        let enters = Entered::arms(Entry::with_options(entered, enters_disabled, Enters));
        let enters_both = EntrySet::with_options(&both, enters_disabled, EntersBoth);
        let enters_both = Both::arms(enters_both);
        Ok(Self {
            _enters: KBox::pin_init(enters, GFP_KERNEL)?,
            _enters_both: KBox::pin_init(enters_both, GFP_KERNEL)?,
            _numbers: KBox::pin_init(numbers, GFP_KERNEL)?,
            _texts: KBox::pin_init(texts, GFP_KERNEL)?,
            _bound: KBox::pin_init(bounds, GFP_KERNEL)?,
            _signals: KBox::pin_init(signals, GFP_KERNEL)?,
            _members: KBox::pin_init(members, GFP_KERNEL)?,
        })
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        pr_info!(
            "{} hits, {} unheard, quiet: {}\n",
            COUNTS.hits.load(Relaxed),
            COUNTS.unheard.load(Relaxed),
            Quiet::is_enabled(),
        );
    }
}
