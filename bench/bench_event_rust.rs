// SPDX-License-Identifier: GPL-2.0

//! Probes of the benchmark that emit trace events, in Rust; `kind` chooses one.
//! `bench_event_c.c` and `bench_entry_c.c` have the same in C.

use kernel::prelude::*;
use kprobes::{
    entry,
    event::{Armed, Str},
    kprobe,
    nofault::UserStr,
    Entry, Kprobe, Target,
};

module! {
    type: Bench,
    name: "bench_event_rust",
    authors: ["The rust_kprobe authors"],
    description: "Trace events of the benchmark in Rust",
    license: "GPL",
}

kprobes::string_param!(
    kind,
    "the event that is emitted: value or text; with _entry by an entry probe"
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

struct Values;

#[vtable]
impl kprobe::Handler for Values {
    fn pre(&self, cx: &kprobe::Context<'_>) {
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

impl entry::Handler for Values {
    fn entry(&self, cx: &entry::Context<'_>) {
        Value { value: cx.arg0() }.emit(cx);
    }
}

impl entry::Handler for Texts {
    fn entry(&self, cx: &entry::Context<'_>) {
        let (value, text): (u64, UserStr) = cx.args();
        let mut buf = [0; 32];
        let text = text.read(&mut buf).into();
        Text { value, text }.emit(cx);
    }
}

#[expect(dead_code, reason = "held to stay registered")]
enum Bench {
    Values(Pin<KBox<Armed<Kprobe<Values>>>>),
    Texts(Pin<KBox<Armed<Kprobe<Texts>>>>),
    ValuesByEntry(Pin<KBox<Armed<Entry<Values>>>>),
    TextsByEntry(Pin<KBox<Armed<Entry<Texts>>>>),
}

impl kernel::Module for Bench {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let call = Target::symbol(c"bench_call");
        let kprobe = kprobe::Options::default().disabled();
        let entry = entry::Options::default().disabled();
        Ok(match kind.value().map(|text| text.to_bytes()) {
            Some(b"text") => {
                let texts = Text::arms(Kprobe::with_options(call, kprobe, Texts));
                Self::Texts(KBox::pin_init(texts, GFP_KERNEL)?)
            }
            Some(b"text_entry") => {
                let texts = Text::arms(Entry::with_options(call, entry, Texts));
                Self::TextsByEntry(KBox::pin_init(texts, GFP_KERNEL)?)
            }
            Some(b"value_entry") => {
                let values = Value::arms(Entry::with_options(call, entry, Values));
                Self::ValuesByEntry(KBox::pin_init(values, GFP_KERNEL)?)
            }
            _ => {
                let values = Value::arms(Kprobe::with_options(call, kprobe, Values));
                Self::Values(KBox::pin_init(values, GFP_KERNEL)?)
            }
        })
    }
}
