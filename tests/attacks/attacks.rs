// SPDX-License-Identifier: GPL-2.0

//! Attacks on the library by safe code.
//!
//! Each file beside this one is an attack, without `unsafe`. For each case, it states the expected
//! outcome in lines that `tests/attacks_tests.py` parses:
//!
//! ```text
//! // case NAME: harmless          the module loads, and nothing is wrong, then or afterwards
//! // case NAME: refused ERRNO     insmod fails with ERRNO
//! // case NAME: stopped REGEX     the library logs that line and calls BUG()
//! // case NAME: complains REGEX   the debug kernel logs that line
//! // says: REGEX                  and the module logs that line, in this order
//! // says some: REGEX             or several lines like that
//! // given: WORD                  insmod has this argument, too
//! // held: N                      the kernel lists N kprobes while the module is loaded
//! // opens: FILE                  rmmod fails with EAGAIN while a program has FILE open
//! // since: SERIES                skipped on older kernels
//! // leaks                        the case itself leaks memory
//! // races                        the case also runs on four CPUs at once
//! // victim: N ARGUMENTS          meanwhile, stress_victim is loaded and unloaded N times
//! ```
//!
//! `attack=FILE/NAME` selects a case. While the module is loaded, a program calls `getpriority()`
//! and `setpriority()` a hundred times each, and checks that the system works.

#[macro_use]
#[path = "../handlers.rs"]
mod handlers;

// The attacks have all of this by `use super::*`.
use core::mem;
use handlers::Hits;
use kernel::new_mutex;
use kernel::new_spinlock;
use kernel::prelude::*;
use kernel::str::*;
use kernel::sync::atomic::*;
use kernel::sync::*;
use kernel::time::delay::*;
use kernel::time::*;
use kprobes::event::Armed;
use kprobes::nofault::KernelPtr;
use kprobes::nofault::KernelStr;
use kprobes::nofault::UserPtr;
use kprobes::nofault::UserStr;
use kprobes::probe::*;
use kprobes::*;
use pin_init::stack_try_pin_init;

module! {
    type: Attacks,
    name: "attacks",
    description: "Attacks on the library by safe code",
    license: "GPL",
}

kprobes::string_param!(attack, "FILE/CASE");
kprobes::string_param!(argument, "what some attacks want to know", 65_536);

/// Only the test's program calls these system calls, a hundred times each.
const PLACE: Target<'static> = kprobes::syscall!("getpriority");
const OTHER: Target<'static> = kprobes::syscall!("setpriority");
const NOWHERE: Target<'static> = Target::symbol(c"no_such_function");
const SCHED_FORK: &CStr = c"sched_process_fork";

/// A value that the module's exit drops.
trait Held: Send + Sync {}
impl<T: Send + Sync> Held for T {}

/// Dropped in this order.
type Kept = KVec<KBox<dyn Held>>;

fn keep(kept: &mut Kept, what: impl Held + 'static) -> Result {
    let what: KBox<dyn Held> = KBox::new(what, GFP_KERNEL)?;
    kept.push(what, GFP_KERNEL)?;
    Ok(())
}

fn keep_one(what: impl Held + 'static) -> Result<Kept> {
    let mut kept = Kept::new();
    keep(&mut kept, what)?;
    Ok(kept)
}

fn boxed<T, E>(init: impl PinInit<T, E>) -> Result<Pin<KBox<T>>>
where
    Error: From<E>,
{
    KBox::pin_init(init, GFP_KERNEL)
}

fn shared<T>(init: impl PinInit<T, Error>) -> Result<Arc<T>> {
    Arc::pin_init(init, GFP_KERNEL)
}

fn one<T: Held + 'static>(init: impl PinInit<T, Error>) -> Result<Kept> {
    keep_one(boxed(init)?)
}

fn add<T: Held + 'static>(kept: &mut Kept, init: impl PinInit<T, Error>) -> Result {
    keep(kept, boxed(init)?)
}

/// Keeps the value if its initialiser succeeds; returns whether it did.
fn try_add<T: Held + 'static>(kept: &mut Kept, init: impl PinInit<T, Error>) -> Result<bool> {
    match boxed(init) {
        Ok(probe) => keep(kept, probe).map(|()| true),
        Err(_) => Ok(false),
    }
}

fn forget<T>(init: impl PinInit<T, Error>) -> Result<Kept> {
    mem::forget(boxed(init)?);
    Ok(Kept::new())
}

/// Makes and drops a value, in contexts that may not allow sleeping.
fn make_and_drop<T>(init: impl PinInit<T, Error>) -> Result {
    KBox::pin_init(init, GFP_ATOMIC).map(drop)
}

fn log_result(result: Result) {
    match result {
        Ok(()) => pr_info!("done\n"),
        Err(error) => pr_info!("{error:?}\n"),
    }
}

/// Calls `what` at the first hit and logs the result.
fn once(what: impl Fn() -> Result + Send + Sync + 'static) -> impl Fn() + Send + Sync + 'static {
    let done = Atomic::new(false);
    move || {
        if !done.xchg(true, Relaxed) {
            log_result(what());
        }
    }
}

fn names() -> Result<KVec<CString>> {
    split(argument.value().ok_or(EINVAL)?.to_bytes())
}

fn split(list: &[u8]) -> Result<KVec<CString>> {
    let mut names = KVec::new();
    for name in list.split(|&byte| byte == b',') {
        let name = CString::try_from_fmt(fmt!("{}", BStr::from_bytes(name)))?;
        names.push(name, GFP_KERNEL)?;
    }
    Ok(names)
}

fn targets(names: &[CString]) -> Result<KVec<Target<'_>>> {
    let mut targets = KVec::new();
    for name in names {
        targets.push(Target::symbol(name), GFP_KERNEL)?;
    }
    Ok(targets)
}

/// Implements the handlers of all kinds by `hit()` and `end()`.
macro_rules! handler {
    ($handler:ty $(, $f:ident: $($bound:tt)+)?) => {
        handlers!($handler $(, $f: $($bound)+)?);

        impl $(<$f: $($bound)+>)? Hits for $handler {
            fn hit<At: Place>(&self, _cx: &Context<'_, At>, _address: Option<Address>) {
                self.hit();
            }

            fn end(&self, what: &str, missed: u64) {
                self.end(what, missed);
            }
        }

        #[vtable]
        impl $(<$f: $($bound)+>)? module::Handler for $handler {
            fn gone(&self) {
                self.hit();
            }
        }
    };
}

struct Nop;

handler!(Nop);

impl Nop {
    fn hit(&self) {}
    fn end(&self, _what: &str, _missed: u64) {}
}

/// Counts hits, and calls a closure at each hit or at the end. With a name, logs the count.
struct Calls<F> {
    name: &'static str,
    hits: Count,
    what: F,
    at_end: bool,
}

handler!(Calls<F>, F: Fn() + Send + Sync + 'static);

impl<F: Fn()> Calls<F> {
    fn hit(&self) {
        self.hits.add(1);
        if !self.at_end {
            (self.what)();
        }
    }

    fn end(&self, what: &str, missed: u64) {
        if self.at_end {
            (self.what)();
        }
        if !self.name.is_empty() {
            let (name, hits) = (self.name, self.hits.get());
            pr_info!("{name}: {hits} {what}, {missed} missed\n");
        }
    }
}

fn calls<F>(name: &'static str, what: F) -> Calls<F> {
    Calls {
        name,
        hits: Count::new(),
        what,
        at_end: false,
    }
}

fn at_end<F>(name: &'static str, what: F) -> Calls<F> {
    let mut handler = calls(name, what);
    handler.at_end = true;
    handler
}

type Counts = Calls<fn()>;

impl Counts {
    fn new(name: &'static str) -> Self {
        calls(name, || {})
    }
}

fn counting(target: Target<'_>, name: &'static str) -> Result<Pin<KBox<Kprobe<Counts>>>> {
    boxed(Kprobe::new(target, Counts::new(name)))
}

/// Makes the kinds whose constructors are `unsafe`.
fn diverting(target: Target<'_>) {
    // SAFETY: The handlers let the probed code run.
    let _ = unsafe {
        (
            boxed(Override::new(target, Nop)),
            boxed(Redirect::new(target, Nop)),
        )
    };
}

/// For what is a module itself.
static THIS: SetOnce<&'static ThisModule> = SetOnce::new();

/// A handler that drops its content.
#[derive(Clone)]
struct Drops(Arc<Mutex<Option<KBox<dyn Held>>>>);

handler!(Drops);

impl Drops {
    fn new() -> Result<Self> {
        Ok(Self(Arc::pin_init(new_mutex!(None), GFP_KERNEL)?))
    }

    fn of<T: Held + 'static>(init: impl PinInit<T, Error>) -> Result<Self> {
        let drops = Self::new()?;
        drops.fill(boxed(init)?)?;
        Ok(drops)
    }

    fn fill(&self, what: impl Held + 'static) -> Result {
        *self.0.lock() = Some(KBox::new(what, GFP_KERNEL)?);
        Ok(())
    }

    fn hit(&self) {
        // Release the lock before the drop.
        let held = self.0.try_lock().and_then(|mut held| held.take());
        drop(held);
    }

    fn end(&self, _what: &str, _missed: u64) {}
}

macro_rules! attacks {
    ($($name:ident),* $(,)?) => {
        $(
            #[forbid(unsafe_code)]
            mod $name;
        )*

        fn make(name: &[u8], case: &[u8]) -> Result<Kept> {
            $(if name == stringify!($name).as_bytes() {
                return $name::attack(case);
            })*
            Err(ENOTTY)
        }
    };
}

attacks! {
    addresses,
    arguments,
    data,
    entries,
    events,
    everywhere,
    failing_init,
    kinds,
    left_behind,
    lock_names,
    macros,
    maps,
    memory,
    own_code,
    owners,
    ownership,
    pending,
    refusals,
    sleeps,
    stacks,
    system_calls,
    unregistered,
    watches,
}

struct Attacks(#[expect(dead_code)] Kept);

impl kernel::Module for Attacks {
    fn init(module: &'static ThisModule) -> Result<Self> {
        THIS.populate(module);
        let wanted = attack.value().ok_or(ENOTTY)?.to_bytes();
        let slash = wanted.iter().position(|&byte| byte == b'/');
        let (name, case) = wanted.split_at(slash.ok_or(ENOTTY)?);
        make(name, &case[1..]).map(Self)
    }
}
