// SPDX-License-Identifier: GPL-2.0

//! All kinds of fields, and of probes that events arm, for `tests/inside/events_*.py`.

#![forbid(unsafe_code)]

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};
use kprobes::{
    entry,
    event::{
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
    struct Number = "events_test:number" {
        value: u64,
    }
}

kprobes::trace_event! {
    /// All kinds of fields, with padding between them.
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
    /// With special characters in the print format.
    struct Line = "events_test:line" as "100% \"{n}\" is {{{result}}}" {
        result: Errno,
        n: i32,
    }
}

kprobes::trace_event! {
    /// Of the same probe as `Line`.
    struct Other = "events_test:other" {
        n: i32,
    }
}

kprobes::trace_event! {
    /// Of a tracepoint.
    struct Signal = "events_test:signal" {
        signal: i32,
    }
}

kprobes::trace_event! {
    /// Of a set with a member that cannot be armed while another program changes it.
    struct Set = "events_test:set" {
        index: u32,
    }
}

kprobes::trace_event! {
    /// Leaves no zeroes in a buffer. Arms no probe.
    struct Filler = "events_test:filler" {
        all: [u64; 16],
    }
}

kprobes::trace_event! {
    struct Quiet = "events_test:quiet" {
        nothing: u8,
    }
}

kprobes::trace_event! {
    struct Entered = "events_test:entered" {
        value: u64,
    }
}

kprobes::trace_event! {
    /// Of entry probes at two functions, one of them that of `Entered`.
    struct Both = "events_test:both" {
        value: u64,
        index: u32,
    }
}

kprobes::trace_event! {
    struct Many = "events_test:many" {
        a_long_name_no00: u8, a_long_name_no01: u8, a_long_name_no02: u8, a_long_name_no03: u8,
        a_long_name_no04: u8, a_long_name_no05: u8, a_long_name_no06: u8, a_long_name_no07: u8,
        a_long_name_no08: u8, a_long_name_no09: u8, a_long_name_no10: u8, a_long_name_no11: u8,
        a_long_name_no12: u8, a_long_name_no13: u8, a_long_name_no14: u8, a_long_name_no15: u8,
        a_long_name_no16: u8, a_long_name_no17: u8, a_long_name_no18: u8, a_long_name_no19: u8,
        a_long_name_no20: u8, a_long_name_no21: u8, a_long_name_no22: u8, a_long_name_no23: u8,
        a_long_name_no24: u8, a_long_name_no25: u8, a_long_name_no26: u8, a_long_name_no27: u8,
        a_long_name_no28: u8, a_long_name_no29: u8, a_long_name_no30: u8, a_long_name_no31: u8,
        a_long_name_no32: u8, a_long_name_no33: u8, a_long_name_no34: u8, a_long_name_no35: u8,
        a_long_name_no36: u8, a_long_name_no37: u8, a_long_name_no38: u8, a_long_name_no39: u8,
        a_long_name_no40: u8, a_long_name_no41: u8, a_long_name_no42: u8, a_long_name_no43: u8,
        a_long_name_no44: u8, a_long_name_no45: u8, a_long_name_no46: u8, a_long_name_no47: u8,
        a_long_name_no48: u8, a_long_name_no49: u8, a_long_name_no50: u8, a_long_name_no51: u8,
        a_long_name_no52: u8, a_long_name_no53: u8, a_long_name_no54: u8, a_long_name_no55: u8,
        a_long_name_no56: u8, a_long_name_no57: u8, a_long_name_no58: u8, a_long_name_no59: u8,
    }
}

/// How many handlers have run, and how many of them while their event was disabled.
static HITS: Atomic<u64> = Atomic::new(0);
static WHILE_DISABLED: Atomic<u64> = Atomic::new(0);

fn count(is_enabled: bool) {
    HITS.fetch_add(1, Relaxed);
    WHILE_DISABLED.fetch_add(u64::from(!is_enabled), Relaxed);
}

struct On<F>(F);

#[vtable]
impl<F: Fn(&kprobe::Context<'_>) + Send + Sync + 'static> kprobe::Handler for On<F> {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        (self.0)(cx);
    }
}

#[vtable]
impl<F: Fn(&entry::Context<'_>) + Send + Sync + 'static> entry::Handler for On<F> {
    fn entry(&self, cx: &entry::Context<'_>) {
        (self.0)(cx);
    }
}

fn text(cx: &kprobe::Context<'_>) {
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

#[vtable]
impl tracepoint::Handler for Signals {
    type Args = (i32,);

    fn hit(&self, cx: &tracepoint::Context<'_>, (signal,): Self::Args) {
        Signal { signal }.emit(cx);
    }
}

trait Held: Send + Sync {}
impl<T: Send + Sync> Held for T {}

struct Events(KVec<Arc<dyn Held>>);

impl Events {
    fn add<T: Held + 'static>(&mut self, probe: impl PinInit<T, Error>) -> Result {
        let probe: Arc<dyn Held> = Arc::pin_init(probe, GFP_KERNEL)?;
        Ok(self.0.push(probe, GFP_KERNEL)?)
    }
}

impl kernel::Module for Events {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let at_number = Target::symbol(c"events_number");
        let at_text = Target::symbol(c"events_text");
        let at_bound = [Target::symbol(c"events_bound")];
        let at_both = [at_text, at_bound[0]];
        let at_entries = [c"events_entered", c"events_entered_too"].map(Target::symbol);
        let off = kprobe::Options::default().disabled();
        let entry_off = entry::Options::default().disabled();
        let mut events = Self(KVec::new());

        let entered = |cx: &entry::Context<'_>| {
            count(Entered::is_enabled());
            Entered { value: cx.arg0() }.emit(cx);
        };
        let entered = Entry::with_options(at_entries[0], entry_off, On(entered));
        events.add(Entered::arms(entered))?;

        let both = |cx: &entry::Context<'_>| {
            let (value, index) = (cx.arg0(), cx.index() as u32);
            Both { value, index }.emit(cx);
        };
        let both = EntrySet::with_options(&at_entries, entry_off, On(both));
        events.add(Both::arms(both))?;

        let number = |cx: &kprobe::Context<'_>| {
            count(Number::is_enabled());
            Number { value: cx.arg0() }.emit(cx);
        };
        let number = Kprobe::with_options(at_number, off, On(number));
        events.add(Number::arms(number))?;

        let everything = Kprobe::with_options(at_text, off, On(text));
        events.add(Everything::arms(everything))?;

        let options = kretprobe::Options::default().disabled();
        let bound = KretprobeSet::with_options(&at_bound, options, Bound);
        events.add(Line::arms(Other::arms(bound)))?;

        events.add(Signal::arms(Tracepoint::new(c"signal_generate", Signals)))?;

        let index = |cx: &kprobe::Context<'_>| {
            let index = cx.index() as u32;
            Set { index }.emit(cx);
        };
        let members = KprobeSet::with_options(&at_both, off, On(index));
        events.add(Set::arms(members))?;
        Ok(events)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let (hits, unheard) = (HITS.load(Relaxed), WHILE_DISABLED.load(Relaxed));
        let quiet = Quiet::is_enabled() || Many::is_enabled();
        pr_info!("{hits} hits, {unheard} unheard, quiet: {quiet}\n");
    }
}
