// SPDX-License-Identifier: GPL-2.0
// References that would outlive their referents.

use core::mem;
use kernel::prelude::*;
use kernel::sync::SpinLock;
use kprobes::*;

pub struct Good;

#[vtable]
impl kprobe::Handler for Good {
    fn pre(&self, _cx: &kprobe::Context<'_>) {}
}

#[vtable]
impl entry::Handler for Good {
    fn entry(&self, _cx: &entry::Context<'_>) {}
}

// Pointers in a context are valid only until the handler returns.
#[pin_data]
pub struct Keeps<'a> {
    #[pin]
    last: SpinLock<Option<&'a kprobe::Context<'a>>>,
}

pub fn context_escapes<'a>(keeps: &Keeps<'a>, cx: &kprobe::Context<'_>) {
    *keeps.last.lock() = Some(cx); //~ explicit lifetime required in the type of `cx`
}

fn keep(_cx: &'static Context<'static, kprobe::Pre>) {}

pub struct IntoStatic;

#[vtable]
impl kprobe::Handler for IntoStatic {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        keep(cx); //~ borrowed data escapes outside of method
    }
}

// Arguments can be read only during the hit, also by a user's type.
pub struct Later(pub KBox<dyn Fn(usize) -> usize>);

impl FromWords for Later {
    const COUNT: usize = 1;

    fn from_words(word: impl Fn(usize) -> usize) -> Self {
        match KBox::new(word, GFP_ATOMIC) {
            Ok(word) => Later(word), //~ `impl Fn(usize) -> usize` may not live long enough
            Err(_) => loop {},
        }
    }
}

// A string is in the buffer that it was read into.
pub fn string_outlives_its_buffer(string: nofault::KernelStr) -> Result<usize> {
    let text: nofault::Text<'_>;
    {
        let mut buf = [0; 16];
        text = string.read(&mut buf)?; //~ `buf` does not live long enough
    }
    Ok(text.as_bytes().len())
}

// A reference to a probe cannot outlive the probe, nor the set of the probe.
pub fn reference_outlives_its_probe(probe: Pin<KBox<Kprobe<Good>>>) -> u64 {
    let reference: &Registered<kprobe::Kind> = &probe;
    drop(probe); //~ cannot move out of `probe` because it is borrowed
    reference.missed()
}

pub fn member_outlives_its_set(set: Pin<KBox<KprobeSet<Good>>>) -> Result {
    let member = set.get(0).ok_or(EINVAL)?;
    drop(set); //~ cannot move out of `set` because it is borrowed
    member.enable()
}

// Only the library creates a probe, whose address must not change afterwards.
pub fn probe_is_copied(probe: Pin<KBox<Kprobe<Good>>>) -> Pin<KBox<Kprobe<Good>>> {
    probe.clone() //~ the method `clone` exists for struct
}

pub fn probe_is_made_by_hand() -> Kprobe<Good> {
    Kprobe { handler: Good } //~ cannot construct
}

pub fn probe_is_moved(a: &mut Pin<KBox<Kprobe<Good>>>, b: &mut Pin<KBox<Kprobe<Good>>>) {
    mem::swap(a.as_mut().get_mut(), b.as_mut().get_mut()); //~ cannot be unpinned
}

pub fn sets_are_swapped(mut a: Pin<KBox<EntrySet<Good>>>, mut b: Pin<KBox<EntrySet<Good>>>) {
    mem::swap(&mut *a, &mut *b); //~ cannot borrow data in dereference of //~ cannot borrow data in
}
