// SPDX-License-Identifier: GPL-2.0

//! Mistakes that safe code can make with probes; the parameter `how` chooses one.
//!
//! `forget` and `static` leave probes behind, and so does `init`, which fails.
//! `handler`, `lock`, `rcu` and `tracepoint` drop one where it must not wait.

use core::mem;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        SetOnce,
        SpinLock, //
    }, //
};
use kprobes::*;

module! {
    type: Mistakes,
    name: "stress_mistakes",
    authors: ["The rust_kprobe authors"],
    description: "Mistakes that safe code can make with probes",
    license: "GPL",
}

kprobes::string_param!(
    how,
    "forget, static, init, handler, lock, rcu or tracepoint"
);

const PLACE: Target<'static> = kprobes::syscall!("getpriority");
const OTHER: Target<'static> = kprobes::syscall!("setpriority");

/// A type of its own: objtool warns of symbols whose names are longer than 505 characters.
struct Held(#[expect(dead_code, reason = "held to stay registered")] Pin<KBox<Kprobe<Dropper>>>);

/// Drops a probe in its handler, if it has one.
#[pin_data]
struct Dropper {
    #[pin]
    held: SpinLock<Option<Held>>,
}

impl Dropper {
    fn new(held: Option<Held>) -> impl PinInit<Self> {
        pin_init!(Self { held <- new_spinlock!(held) })
    }

    fn hit(&self) {
        // Release the lock first.
        let held = self.held.try_lock().and_then(|mut held| held.take());
        drop(held);
    }
}

#[vtable]
impl kprobe::Handler for Dropper {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        self.hit();
    }
}

#[vtable]
impl kretprobe::Handler for Dropper {
    type Data = ();

    fn ret(&self, _cx: &kretprobe::ReturnContext<'_>, _data: ()) {
        self.hit();
    }
}

impl tracepoint::Handler for Dropper {
    type Args = ();

    fn hit(&self, _cx: &tracepoint::Context<'_>, (): ()) {
        self.hit();
    }
}

impl module::Handler for Dropper {
    fn gone(&self) {}
}

/// Has only a post handler.
struct Around;

#[vtable]
impl kprobe::Handler for Around {
    fn post(&self, _cx: &kprobe::PostContext<'_>) {}
}

fn made<T>(init: impl PinInit<T, Error>) -> Result<Pin<KBox<T>>> {
    KBox::pin_init(init, GFP_KERNEL)
}

fn probe(target: Target<'_>) -> Result<Held> {
    made(Kprobe::new(target, Dropper::new(None))).map(Held)
}

/// Forgets a probe of each kind.
fn forget() -> Result {
    let (places, nop) = ([PLACE, OTHER], || Dropper::new(None));
    mem::forget(probe(PLACE)?);
    mem::forget(made(Kprobe::new(PLACE, Around))?);
    mem::forget(made(Kretprobe::new(PLACE, nop()))?);
    mem::forget(made(KprobeSet::new(&places, nop()))?);
    mem::forget(made(KretprobeSet::new(&places, nop()))?);
    mem::forget(made(Tracepoint::new(c"kmalloc", nop()))?);
    mem::forget(made(ModuleWatch::new(nop()))?);
    Ok(())
}

static KEPT: SetOnce<Held> = SetOnce::new();

#[derive(Default)]
struct Mistakes {
    _probe: Option<Held>,
    _tracepoint: Option<Pin<KBox<Tracepoint<Dropper>>>>,
}

impl kernel::Module for Mistakes {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut this = Self::default();
        match how.value().map(|mistake| mistake.to_bytes()) {
            Some(b"forget") => forget()?,
            Some(b"static") => drop(KEPT.populate(probe(PLACE)?)),
            Some(b"init") => return forget().and(Err(EIO)),
            Some(b"handler") => {
                let drops = Dropper::new(Some(probe(OTHER)?));
                this._probe = Some(Held(made(Kprobe::new(PLACE, drops))?));
            }
            Some(b"lock") => {
                let lock = KBox::pin_init(new_spinlock!(Some(probe(OTHER)?)), GFP_KERNEL)?;
                *lock.lock() = None;
            }
            Some(b"rcu") => {
                let held = probe(OTHER)?;
                let _guard = kernel::sync::rcu::read_lock();
                drop(held);
            }
            Some(b"tracepoint") => {
                let drops = Dropper::new(Some(probe(OTHER)?));
                this._tracepoint = Some(made(Tracepoint::new(c"sched_process_fork", drops))?);
            }
            _ => return Err(EINVAL),
        }
        Ok(this)
    }
}
