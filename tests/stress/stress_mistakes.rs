// SPDX-License-Identifier: GPL-2.0

//! Mistakes that safe code can make with probes; the parameter `how` chooses one.
//!
//! `forget` and `static` leave probes behind, and so does `init`, which fails.
//! `handler`, `lock`, `rcu` and `tracepoint` drop one where it must not wait.

use core::mem;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{SetOnce, SpinLock},
};
use kprobes::{
    kprobe, kretprobe, module, tracepoint, Context, Kprobe, KprobeSet, Kretprobe, KretprobeSet,
    ModuleWatch, Post, Return, Target, Trace, Tracepoint,
};

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

struct Before;

#[vtable]
impl kprobe::Handler for Before {
    fn pre(&self, _cx: &Context<'_>) {}
}

struct Around;

#[vtable]
impl kprobe::Handler for Around {
    fn post(&self, _cx: &Context<'_, Post>) {}
}

struct Returned;

#[vtable]
impl kretprobe::Handler for Returned {
    type Data = ();

    fn ret(&self, _cx: &Context<'_, Return>, _data: ()) {}
}

impl tracepoint::Handler for Before {
    type Args = ();

    fn hit(&self, _cx: &Context<'_, Trace>, (): ()) {}
}

impl module::Handler for Before {
    fn gone(&self) {}
}

type Held = Pin<KBox<Kprobe<Before>>>;

fn probe(target: Target<'_>) -> Result<Held> {
    KBox::pin_init(Kprobe::new(target, Before), GFP_KERNEL)
}

/// Drops a probe in its handler.
#[pin_data]
struct Dropper {
    #[pin]
    held: SpinLock<Option<Held>>,
}

impl Dropper {
    fn new(held: Held) -> impl PinInit<Self> {
        pin_init!(Self { held <- new_spinlock!(Some(held)) })
    }

    fn drop_it(&self) {
        // Release the lock first.
        let held = self.held.try_lock().and_then(|mut held| held.take());
        drop(held);
    }
}

#[vtable]
impl kprobe::Handler for Dropper {
    fn pre(&self, _cx: &Context<'_>) {
        self.drop_it();
    }
}

impl tracepoint::Handler for Dropper {
    type Args = ();

    fn hit(&self, _cx: &Context<'_, Trace>, (): ()) {
        self.drop_it();
    }
}

/// Forgets a probe of each kind.
fn forget() -> Result {
    let places = [PLACE, OTHER];
    mem::forget(probe(PLACE)?);
    mem::forget(KBox::pin_init(Kprobe::new(PLACE, Around), GFP_KERNEL)?);
    mem::forget(KBox::pin_init(Kretprobe::new(PLACE, Returned), GFP_KERNEL)?);
    mem::forget(KBox::pin_init(KprobeSet::new(&places, Before), GFP_KERNEL)?);
    mem::forget(KBox::pin_init(
        KretprobeSet::new(&places, 0, Returned),
        GFP_KERNEL,
    )?);
    mem::forget(KBox::pin_init(
        Tracepoint::new(c"kmalloc", Before),
        GFP_KERNEL,
    )?);
    mem::forget(KBox::pin_init(ModuleWatch::new(Before), GFP_KERNEL)?);
    Ok(())
}

static KEPT: SetOnce<Held> = SetOnce::new();

struct Mistakes {
    _probe: Option<Pin<KBox<Kprobe<Dropper>>>>,
    _tracepoint: Option<Pin<KBox<Tracepoint<Dropper>>>>,
}

impl kernel::Module for Mistakes {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut this = Self {
            _probe: None,
            _tracepoint: None,
        };
        match how.value().map(|mistake| mistake.to_bytes()) {
            Some(b"forget") => forget()?,
            Some(b"static") => {
                KEPT.populate(probe(PLACE)?);
            }
            Some(b"init") => {
                forget()?;
                return Err(EIO);
            }
            Some(b"handler") => {
                let dropper = Kprobe::new(PLACE, Dropper::new(probe(OTHER)?));
                this._probe = Some(KBox::pin_init(dropper, GFP_KERNEL)?);
            }
            Some(b"lock") => {
                let lock = KBox::pin_init(new_spinlock!(Some(probe(OTHER)?)), GFP_KERNEL)?;
                let mut guard = lock.lock();
                *guard = None;
            }
            Some(b"rcu") => {
                let held = probe(OTHER)?;
                let _guard = kernel::sync::rcu::read_lock();
                drop(held);
            }
            Some(b"tracepoint") => {
                let dropper = Tracepoint::new(c"sched_process_fork", Dropper::new(probe(OTHER)?));
                this._tracepoint = Some(KBox::pin_init(dropper, GFP_KERNEL)?);
            }
            _ => return Err(EINVAL),
        }
        Ok(this)
    }
}
