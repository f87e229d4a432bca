// SPDX-License-Identifier: GPL-2.0
// Requirements on handlers, and on the data of a return probe.

use core::cell::Cell;
use kernel::prelude::*;
use kernel::sync::atomic::Atomic;
use kprobes::*;

const F: Target<'static> = Target::symbol(c"f");

// Handlers run on several CPUs at once.
struct NotSync(Cell<u32>);

#[vtable]
impl kprobe::Handler for NotSync {
    //~^ `Cell<u32>` cannot be shared between threads safely
    fn pre(&self, _cx: &kprobe::Context<'_>) {}
}

#[vtable]
impl entry::Handler for NotSync {
    //~^ `Cell<u32>` cannot be shared between threads safely
    fn entry(&self, _cx: &entry::Context<'_>) {}
}

// Another task may drop the probe.
struct NotSend(*mut u32);

// SAFETY: None. The program must not compile.
unsafe impl Sync for NotSend {}

#[vtable]
impl kprobe::Handler for NotSend {
    //~^ `*mut u32` cannot be sent between threads safely
    fn pre(&self, _cx: &kprobe::Context<'_>) {}
}

// A handler of another kind.
pub struct Good;

#[vtable]
impl entry::Handler for Good {
    fn entry(&self, _cx: &entry::Context<'_>) {}
}

pub fn handler_of_another_kind() -> impl PinInit<Kprobe<Good>, Error> {
    //~^ `Good: kprobe::Handler` is not
    Kprobe::new(F, Good) //~ `Good: kprobe::Handler` is not
}

// All handlers need `#[vtable]`.
struct WithoutVtable;

impl tracepoint::Handler for WithoutVtable {
    //~^ missing: `USE_VTABLE_ATTR`
    type Args = ();

    fn hit(&self, _cx: &tracepoint::Context<'_>, (): ()) {}
}

// The kernel calls the handler until the probe is dropped, which may be never.
struct Borrows<'a>(&'a Atomic<u64>);

#[vtable]
impl entry::Handler for Borrows<'static> {
    fn entry(&self, _cx: &entry::Context<'_>) {}
}

pub fn handler_borrows_the_stack() {
    let count = Atomic::new(0);
    let _ = Entry::new(F, Borrows(&count)); //~ `count` does not live long enough
}

// While a probe is registered, its handler is shared.
impl Good {
    fn reset(&mut self) {}
}

pub fn handler_is_changed(probe: &Entry<Good>) {
    probe.handler().reset(); //~ cannot borrow data in a `&` reference as mutable
}

// A call may return on another CPU.
struct KeepsCell;

#[vtable]
impl kretprobe::Handler for KeepsCell {
    type Data = Option<&'static Cell<u64>>; //~ `Cell<u64>` cannot be shared between threads safely

    fn ret(&self, _cx: &kretprobe::ReturnContext<'_>, _data: Self::Data) {}
}

// The kernel discards the data of a call that never returns.
struct Leaks;

#[vtable]
impl kretprobe::Handler for Leaks {
    type Data = KBox<u64>; //~ Box<u64, Kmalloc>: Copy` is not satisfied

    fn ret(&self, _cx: &kretprobe::ReturnContext<'_>, _data: Self::Data) {}
}

// Calls may be in flight when the probe and its handler are dropped.
pub struct Keeps(Count);

#[vtable]
impl kretprobe::Handler for Keeps {
    type Data = &'static Count;

    fn entry(&self, _cx: &kretprobe::Context<'_>) -> Option<&'static Count> {
        Some(&self.0) //~ lifetime may not live long enough
    }

    fn ret(&self, _cx: &kretprobe::ReturnContext<'_>, _data: Self::Data) {}
}

// The context of the entry is invalid at the return.
struct KeepsContext;

#[vtable]
impl kretprobe::Handler for KeepsContext {
    type Data = &'static kretprobe::Context<'static>; //~ cannot be shared between threads safely

    fn ret(&self, _cx: &kretprobe::ReturnContext<'_>, _data: Self::Data) {}
}

// Overrides and redirects are unsafe: only the user knows which results and addresses are valid.
#[vtable]
impl overrides::Handler for Good {
    fn entry(&self, _cx: &overrides::Context<'_>) -> Option<usize> {
        None
    }
}

#[vtable]
impl redirect::Handler for Good {
    fn pre(&self, cx: &redirect::Context<'_>) -> Option<Address> {
        Some(cx.next_instruction())
    }
}

pub fn without_unsafe() {
    let _ = Override::new(F, Good); //~ is unsafe and requires unsafe
    let _ = OverrideSet::new(&[F], Good); //~ is unsafe and requires unsafe
    let _ = Redirect::new(F, Good); //~ is unsafe and requires unsafe
    let _ = RedirectSet::new(&[F], Good); //~ is unsafe and requires unsafe
    let _ = kretprobe::Options::default().any_function(); //~ is unsafe and requires unsafe
}

// Only `trace_event!` defines records.
struct Mine;

impl event::Record for Mine {
    //~^ requires an `unsafe impl` declaration
    fn event() -> &'static event::Event {
        loop {}
    }
}

kprobes::trace_event! { //~ `&'static str` cannot be a field of a trace event
    struct Reference = "test:reference" {
        a: &'static str,
    }
}
