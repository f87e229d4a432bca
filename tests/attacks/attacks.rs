// SPDX-License-Identifier: GPL-2.0

//! Attacks on the library by safe code.
//!
//! Each file beside this one is an attack, without `unsafe`. It says for each of its cases what
//! must come of it, in lines that `tests/attacks_tests.py` reads:
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
//! // victim: N ARGUMENTS          stress_victim is loaded and unloaded N times meanwhile
//! ```
//!
//! A case is made by `attack=FILE/NAME`. While an attack is there, a program makes a hundred calls
//! of `getpriority()` and of `setpriority()`, and looks whether the system works as ever.

#[macro_use]
#[path = "../handlers.rs"]
mod handlers;

// Each attack has all of this by `use super::*`.
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

/// What a program calls a hundred times each, and nobody else at all.
const PLACE: Target<'static> = kprobes::syscall!("getpriority");
const OTHER: Target<'static> = kprobes::syscall!("setpriority");
const NOWHERE: Target<'static> = Target::symbol(c"no_such_function");
const SCHED_FORK: &CStr = c"sched_process_fork";

/// What an attack leaves to the module, whose exit drops it.
trait Held: Send + Sync {}
impl<T: Send + Sync> Held for T {}

/// It is dropped in this order.
type Kept = KVec<KBox<dyn Held>>;

fn keep(kept: &mut Kept, what: impl Held + 'static) -> Result {
    let what: KBox<dyn Held> = KBox::new(what, GFP_KERNEL)?;
    kept.push(what, GFP_KERNEL)?;
    Ok(())
}

fn just(what: impl Held + 'static) -> Result<Kept> {
    let mut kept = Kept::new();
    keep(&mut kept, what)?;
    Ok(kept)
}

fn made<T, E>(init: impl PinInit<T, E>) -> Result<Pin<KBox<T>>>
where
    Error: From<E>,
{
    KBox::pin_init(init, GFP_KERNEL)
}

fn shared<T>(init: impl PinInit<T, Error>) -> Result<Arc<T>> {
    Arc::pin_init(init, GFP_KERNEL)
}

fn one<T: Held + 'static>(init: impl PinInit<T, Error>) -> Result<Kept> {
    just(made(init)?)
}

fn add<T: Held + 'static>(kept: &mut Kept, init: impl PinInit<T, Error>) -> Result {
    keep(kept, made(init)?)
}

/// Keeps it, if it can be made; whether it was.
fn try_add<T: Held + 'static>(kept: &mut Kept, init: impl PinInit<T, Error>) -> Result<bool> {
    match made(init) {
        Ok(probe) => keep(kept, probe).map(|()| true),
        Err(_) => Ok(false),
    }
}

fn forget<T>(init: impl PinInit<T, Error>) -> Result<Kept> {
    mem::forget(made(init)?);
    Ok(Kept::new())
}

/// Makes and drops it, where it may be that one must not sleep.
fn briefly<T>(init: impl PinInit<T, Error>) -> Result {
    KBox::pin_init(init, GFP_ATOMIC).map(drop)
}

fn tell(result: Result) {
    match result {
        Ok(()) => pr_info!("done\n"),
        Err(error) => pr_info!("{error:?}\n"),
    }
}

/// Does it the first time, and says how that ended.
fn once(what: impl Fn() -> Result + Send + Sync + 'static) -> impl Fn() + Send + Sync + 'static {
    let done = Atomic::new(false);
    move || {
        if !done.xchg(true, Relaxed) {
            tell(what());
        }
    }
}

/// The names that `argument` lists.
fn names() -> Result<KVec<CString>> {
    split(argument.value().ok_or(EINVAL)?.to_bytes())
}

/// The names of a list, separated by commas.
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

/// Counts hits, and calls a closure at each hit or at the end. If it has a name, it logs the count
/// at the end, for the program to check.
struct Does<F> {
    name: &'static str,
    hits: Count,
    what: F,
    finally: bool,
}

handler!(Does<F>, F: Fn() + Send + Sync + 'static);

impl<F: Fn()> Does<F> {
    fn hit(&self) {
        self.hits.add(1);
        if !self.finally {
            (self.what)();
        }
    }

    fn end(&self, what: &str, missed: u64) {
        if self.finally {
            (self.what)();
        }
        if !self.name.is_empty() {
            let (name, hits) = (self.name, self.hits.get());
            pr_info!("{name}: {hits} {what}, {missed} missed\n");
        }
    }
}

fn does<F>(name: &'static str, what: F) -> Does<F> {
    Does {
        name,
        hits: Count::new(),
        what,
        finally: false,
    }
}

fn finally<F>(name: &'static str, what: F) -> Does<F> {
    let mut does = does(name, what);
    does.finally = true;
    does
}

type Counts = Does<fn()>;

impl Counts {
    fn new(name: &'static str) -> Self {
        does(name, || {})
    }
}

fn counting(target: Target<'_>, name: &'static str) -> Result<Pin<KBox<Kprobe<Counts>>>> {
    made(Kprobe::new(target, Counts::new(name)))
}

/// Makes the kinds whose constructors are `unsafe`.
fn diverting(target: Target<'_>) {
    // SAFETY: The handlers let the probed code run.
    let _ = unsafe {
        (
            made(Override::new(target, Nop)),
            made(Redirect::new(target, Nop)),
        )
    };
}

/// For what is a module itself.
static THIS: SetOnce<&'static ThisModule> = SetOnce::new();

/// A handler that drops what it has.
#[derive(Clone)]
struct Empties(Arc<Mutex<Option<KBox<dyn Held>>>>);

handler!(Empties);

impl Empties {
    fn new() -> Result<Self> {
        Ok(Self(Arc::pin_init(new_mutex!(None), GFP_KERNEL)?))
    }

    fn of<T: Held + 'static>(init: impl PinInit<T, Error>) -> Result<Self> {
        let empties = Self::new()?;
        empties.fill(made(init)?)?;
        Ok(empties)
    }

    fn fill(&self, what: impl Held + 'static) -> Result {
        *self.0.lock() = Some(KBox::new(what, GFP_KERNEL)?);
        Ok(())
    }

    fn hit(&self) {
        // Release the lock first.
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
