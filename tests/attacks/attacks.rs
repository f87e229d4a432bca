// SPDX-License-Identifier: GPL-2.0

//! Attacks on the library by safe code.
//!
//! Each file beside this one is an attack, without `unsafe`. It says for each of
//! its cases what must come of it, in lines that `tests/attacks_tests.py` reads:
//!
//! ```text
//! // case NAME: harmless          it loads, and nothing is wrong, then and afterwards
//! // case NAME: refused ERRNO     insmod fails with that
//! // case NAME: stopped REGEX     a BUG() of the library's, after that line
//! // case NAME: complains REGEX   the debug kernel says that
//! // says: REGEX                  and the module logs that line, in this order
//! // says some: REGEX             or several lines like that
//! // given: WORD                  insmod has one argument more
//! // held: N                      the kernel lists so many kprobes while it is there
//! // opens: FILE                  rmmod fails with EAGAIN while a program has it open
//! // since: SERIES                skipped on older kernels
//! // leaks                        it leaks memory itself
//! // races                        it is made on four CPUs at once, too
//! ```
//!
//! A case without a name is made by `attack=FILE`, others by `attack=FILE/NAME`.
//! While an attack is there, a program makes a hundred calls of `getpriority()`
//! and of `setpriority()`, and looks whether the system works as ever.

use kernel::prelude::*;
use kprobes::{
    kprobe, kretprobe, module, tracepoint, Context, Count, Kprobe, Return, Target, Trace,
};

module! {
    type: Attacks,
    name: "attacks",
    authors: ["The rust_kprobe authors"],
    description: "Attacks on the library by safe code",
    license: "GPL",
}

kprobes::string_param!(attack, "FILE or FILE/CASE");
kprobes::string_param!(argument, "what some attacks want to know", 65_536);

/// What a program calls a hundred times each, and nobody else at all.
pub(crate) const PLACE: Target<'static> = kprobes::syscall!("getpriority");
pub(crate) const OTHER: Target<'static> = kprobes::syscall!("setpriority");

/// What an attack leaves to the module, whose exit drops it.
pub(crate) trait Held: Send + Sync {}
impl<T: Send + Sync> Held for T {}

/// It is dropped in this order.
pub(crate) type Kept = KVec<KBox<dyn Held>>;

/// Keeps one thing more.
pub(crate) fn keep(kept: &mut Kept, what: impl Held + 'static) -> Result {
    let what: KBox<dyn Held> = KBox::new(what, GFP_KERNEL)?;
    kept.push(what, GFP_KERNEL)?;
    Ok(())
}

/// Keeps one thing.
pub(crate) fn just(what: impl Held + 'static) -> Result<Kept> {
    let mut kept = Kept::new();
    keep(&mut kept, what)?;
    Ok(kept)
}

/// Does nothing.
pub(crate) struct Nop;

#[vtable]
impl kprobe::Handler for Nop {
    fn pre(&self, _cx: &Context<'_>) {}
}

#[vtable]
impl kretprobe::Handler for Nop {
    type Data = ();

    fn ret(&self, _cx: &Context<'_, Return>, _data: ()) {}
}

impl tracepoint::Handler for Nop {
    type Args = ();

    fn hit(&self, _cx: &Context<'_, Trace>, (): ()) {}
}

impl module::Handler for Nop {
    fn gone(&self) {}
}

/// Counts, and tells at the end: the program knows how many there must be.
pub(crate) struct Counts {
    name: &'static str,
    hits: Count,
}

impl Counts {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            hits: Count::new(),
        }
    }
}

#[vtable]
impl kprobe::Handler for Counts {
    fn pre(&self, _cx: &Context<'_>) {
        self.hits.add(1);
    }

    fn unregistered(&self, missed: usize) {
        pr_info!("{}: {} hits, {missed} missed\n", self.name, self.hits.get());
    }
}

#[vtable]
impl kretprobe::Handler for Counts {
    type Data = ();

    fn ret(&self, _cx: &Context<'_, Return>, _data: ()) {
        self.hits.add(1);
    }

    fn unregistered(&self, missed: usize) {
        pr_info!(
            "{}: {} returns, {missed} missed\n",
            self.name,
            self.hits.get()
        );
    }
}

/// Does something at the first hit, and counts.
pub(crate) struct Does<F: Fn() + Send + Sync + 'static> {
    counts: Counts,
    what: F,
}

impl<F: Fn() + Send + Sync + 'static> Does<F> {
    pub(crate) fn new(name: &'static str, what: F) -> Self {
        Self {
            counts: Counts::new(name),
            what,
        }
    }

    fn hit(&self) {
        self.counts.hits.add(1);
        (self.what)();
    }
}

#[vtable]
impl<F: Fn() + Send + Sync + 'static> kprobe::Handler for Does<F> {
    fn pre(&self, _cx: &Context<'_>) {
        self.hit();
    }

    fn unregistered(&self, missed: usize) {
        kprobe::Handler::unregistered(&self.counts, missed);
    }
}

#[vtable]
impl<F: Fn() + Send + Sync + 'static> kretprobe::Handler for Does<F> {
    type Data = ();

    fn ret(&self, _cx: &Context<'_, Return>, _data: ()) {
        self.hit();
    }

    fn unregistered(&self, missed: usize) {
        kretprobe::Handler::unregistered(&self.counts, missed);
    }
}

impl<F: Fn() + Send + Sync + 'static> tracepoint::Handler for Does<F> {
    type Args = ();

    fn hit(&self, _cx: &Context<'_, Trace>, (): ()) {
        self.hit();
    }
}

impl<F: Fn() + Send + Sync + 'static> module::Handler for Does<F> {
    fn gone(&self) {
        self.hit();
    }
}

/// A kprobe that counts.
pub(crate) fn counting(
    target: Target<'_>,
    name: &'static str,
) -> Result<Pin<KBox<Kprobe<Counts>>>> {
    KBox::pin_init(Kprobe::new(target, Counts::new(name)), GFP_KERNEL)
}

macro_rules! attacks {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*

        fn make(name: &[u8], case: &[u8]) -> Result<Kept> {
            $(if name == stringify!($name).as_bytes() {
                return $name::attack(case);
            })*
            Err(ENOTTY)
        }
    };
}

attacks! {
    places,
    return_places,
    in_a_handler,
    unregistered,
    ownership,
    failing_init,
    left_behind,
    watches,
    addresses,
    data,
    own_code,
    memory,
    macros,
    limits,
    on_the_stack,
    at_once,
    sleeps,
    everywhere,
    arguments,
    owners,
    lock_names,
    entries,
    system_calls,
    events,
}

struct Attacks {
    _kept: Kept,
}

impl kernel::Module for Attacks {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let wanted = attack.value().ok_or(ENOTTY)?.to_bytes();
        let (name, case) = match wanted.iter().position(|&byte| byte == b'/') {
            Some(slash) => (&wanted[..slash], &wanted[slash + 1..]),
            None => (wanted, &[][..]),
        };
        Ok(Self {
            _kept: make(name, case)?,
        })
    }
}
