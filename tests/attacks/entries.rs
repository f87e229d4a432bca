// SPDX-License-Identifier: GPL-2.0

//! Entry probes: what other files try with kprobes, and what only these have.

// case counts: harmless
// says: entry: CALLS hits, 0 missed
// races
// case misses: harmless
// says: outer: CALLS hits, 0 missed
// says: inner: 0 hits, CALLS missed
// races
// case beside: harmless
// says: entry: CALLS hits, 0 missed
// says: kprobe: CALLS hits, 0 missed
// held: 1
// case register: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// case register_set: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// case toggle: harmless
// says: EDEADLK
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// says: inner: CALLS hits, 0 missed
// case in_kprobe: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// held: 1
// case locked: refused EDEADLK
// case rcu: refused EDEADLK
// case on_the_stack: refused EINVAL
// case set_on_the_stack: refused EINVAL
// case inside: refused EINVAL
// says: kprobe: 0 hits, 0 missed
// case offset: refused EINVAL
// case nothing: refused ENOENT
// case no_pattern: refused EINVAL
// case drops_itself: stopped attacks: a probe is dropped in a handler, under a lock or where else one must not sleep; stopped before it is freed
// case forgotten: harmless
// says: left registered: 1 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now
// case forgotten_set: harmless
// says: left registered: 300 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now
// case forgotten_disabled: harmless
// says: left registered: 1 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now
// case forgotten_everywhere: harmless
// says: left registered: \d+ at \S+; unregistered now
// case own_helpers: harmless
// case own_helpers_forgotten: harmless
// says: left registered: \d+ at [0-9a-f]{16}; unregistered now
// case first_in_a_watch: harmless
// says: EDEADLK
// case in_a_watch: harmless
// says: within: 0 hits, 0 missed
// says: Ok
// says: entry: CALLS hits, 0 missed
// case registers_at_the_end: harmless
// says: outer: CALLS hits, 0 missed
// says: inner: 0 hits, 0 missed
// case everywhere: harmless
// case many_call: harmless
// says: all: \d+ hits, [1-9]\d* missed
// case allocator: harmless
// says: allocator: \d+ hits, [1-9]\d* missed
// case own_callback: refused EINVAL
// case own_handler: harmless
// says: kprobe: CALLS hits, 0 missed
// says: entry: CALLS hits, 0 missed
// case without_kprobes: harmless
// says: everywhere: [1-9]\d* hits, \d+ missed
// says: inside: CALLS hits, 0 missed
// says: at the entry: CALLS hits, 0 missed
// case sleeps: complains BUG: scheduling while atomic

#![forbid(unsafe_code)]

use super::{argument, counting, just, keep, Counts, Does, Held, Kept, Nop, OTHER, PLACE};
use core::{hint::black_box, mem};
use kernel::{
    new_mutex,
    new_spinlock,
    prelude::*,
    str::{BStr, CString},
    sync::{atomic::*, Arc, Mutex},
    time::{delay::fsleep, Delta}, //
};
use kprobes::{
    entry,
    module,
    Address,
    AtEntry,
    Context,
    Entry,
    EntrySet,
    Kprobe,
    ModuleWatch,
    Target, //
};
use pin_init::stack_try_pin_init;

impl entry::Handler for Nop {
    fn entry(&self, _cx: &Context<'_, AtEntry>) {}
}

impl entry::Handler for Counts {
    fn entry(&self, _cx: &Context<'_, AtEntry>) {
        self.hits.add(1);
    }

    fn unregistered(&self, missed: u64) {
        pr_info!("{}: {} hits, {missed} missed\n", self.name, self.hits.get());
    }
}

impl<F: Fn() + Send + Sync + 'static> entry::Handler for Does<F> {
    fn entry(&self, _cx: &Context<'_, AtEntry>) {
        self.hit();
    }

    fn unregistered(&self, missed: u64) {
        entry::Handler::unregistered(&self.counts, missed);
    }
}

/// Makes a probe when it is unregistered.
struct Finally(Counts);

impl entry::Handler for Finally {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        entry::Handler::entry(&self.0, cx);
    }

    fn unregistered(&self, missed: u64) {
        entry::Handler::unregistered(&self.0, missed);
        assert!(probe(OTHER, Counts::new("inner")).is_ok());
    }
}

/// Some do it where they must not sleep.
fn probe<H: entry::Handler>(target: Target<'_>, handler: H) -> Result<Pin<KBox<Entry<H>>>> {
    KBox::pin_init(Entry::new(target, handler), GFP_ATOMIC)
}

fn matching<H: entry::Handler>(pattern: &CStr, handler: H) -> Result<Pin<KBox<EntrySet<H>>>> {
    let set = KBox::try_pin_init(EntrySet::matching(pattern, handler), GFP_ATOMIC);
    set.map_err(|refusal: kprobes::Refusal| refusal.error())
}

/// Says how it ended, the first time.
fn once(what: impl Fn() -> Result + Send + Sync + 'static) -> impl Fn() + Send + Sync + 'static {
    let done = Atomic::new(false);
    move || {
        if !done.xchg(true, Relaxed) {
            match what() {
                Ok(()) => pr_info!("done\n"),
                Err(error) => pr_info!("{error:?}\n"),
            }
        }
    }
}

/// Does it in the handler of an entry probe.
fn within(what: impl Fn() -> Result + Send + Sync + 'static) -> Result<Kept> {
    just(probe(PLACE, Does::new("outer", once(what)))?)
}

/// Has what a handler drops.
#[pin_data]
struct Slot {
    #[pin]
    held: Mutex<Option<KBox<dyn Held>>>,
}

/// Does something when a module is loaded or goes, once.
struct Once<F: Fn() + Send + Sync + 'static>(Atomic<bool>, F);

impl<F: Fn() + Send + Sync + 'static> module::Handler for Once<F> {
    fn gone(&self) {
        if !self.0.xchg(true, Relaxed) {
            (self.1)();
        }
    }
}

fn watch(
    what: impl Fn() + Send + Sync + 'static,
) -> Result<Pin<KBox<ModuleWatch<impl module::Handler>>>> {
    KBox::pin_init(ModuleWatch::new(Once(Atomic::new(false), what)), GFP_KERNEL)
}

/// The names that `argument` lists, separated by commas.
fn names() -> Result<KVec<CString>> {
    let mut names = KVec::new();
    for name in argument
        .value()
        .ok_or(EINVAL)?
        .to_bytes()
        .split(|&byte| byte == b',')
    {
        let name = CString::try_from_fmt(fmt!("{}", BStr::from_bytes(name)))?;
        names.push(name, GFP_KERNEL)?;
    }
    Ok(names)
}

/// A part of a handler that has a symbol of its own.
#[inline(never)]
fn handled() {
    black_box(&mut 0);
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let targets = [PLACE; 2];
    match case {
        b"counts" => just(probe(PLACE, Counts::new("entry"))?),
        // Nobody else calls that function meanwhile.
        b"misses" => {
            let looks_up = || {
                let _ = Address::new(0).location();
            };
            let mut kept = just(probe(PLACE, Does::new("outer", looks_up))?)?;
            let symbols = Target::symbol(c"sprint_symbol");
            keep(&mut kept, probe(symbols, Counts::new("inner"))?)?;
            Ok(kept)
        }
        b"beside" => {
            let mut kept = just(probe(PLACE, Counts::new("entry"))?)?;
            keep(&mut kept, counting(PLACE, "kprobe")?)?;
            Ok(kept)
        }
        b"register" => within(|| probe(OTHER, Nop).map(drop)),
        b"register_set" => within(|| matching(c"vfs_*", Nop).map(drop)),
        b"toggle" => {
            let inner = Arc::pin_init(Entry::new(OTHER, Counts::new("inner")), GFP_KERNEL)?;
            let known = inner.clone();
            let mut kept = within(move || {
                if let Err(error) = known.disable() {
                    pr_info!("{error:?}\n");
                }
                known.enable()
            })?;
            keep(&mut kept, inner)?;
            Ok(kept)
        }
        b"in_kprobe" => {
            let make = || probe(OTHER, Nop).map(drop);
            let outer = Kprobe::new(PLACE, Does::new("outer", once(make)));
            just(KBox::pin_init(outer, GFP_KERNEL)?)
        }
        b"locked" => {
            let lock = KBox::pin_init(new_spinlock!(0), GFP_KERNEL)?;
            let _guard = lock.lock();
            just(KBox::pin_init(Entry::new(PLACE, Nop), GFP_ATOMIC)?)
        }
        b"rcu" => {
            let _guard = kernel::sync::rcu::read_lock();
            just(KBox::pin_init(Entry::new(PLACE, Nop), GFP_ATOMIC)?)
        }
        b"on_the_stack" => {
            stack_try_pin_init!(let _probe =? Entry::new(PLACE, Nop));
            Ok(Kept::new())
        }
        b"set_on_the_stack" => {
            stack_try_pin_init!(let _set =? EntrySet::new(&targets, Nop));
            Ok(Kept::new())
        }
        b"inside" => {
            let entry = counting(PLACE, "kprobe")?.address().as_usize();
            just(probe(Target::address(entry + 5), Nop)?)
        }
        b"offset" => just(probe(PLACE.offset(4), Nop)?),
        b"nothing" => just(matching(c"no_such_function_*", Nop)?),
        b"no_pattern" => just(matching(c"12", Nop)?),
        // The last owner is the handler.
        b"drops_itself" => {
            let init = pin_init!(Slot { held <- new_mutex!(None) });
            let slot = Arc::pin_init(init, GFP_KERNEL)?;
            let known = slot.clone();
            let empties = move || drop(known.held.try_lock().and_then(|mut held| held.take()));
            let probe = probe(PLACE, Does::new("outer", empties))?;
            *slot.held.lock() = Some(KBox::new(probe, GFP_KERNEL)?);
            Ok(Kept::new())
        }
        b"forgotten" => {
            mem::forget(probe(PLACE, Nop)?);
            Ok(Kept::new())
        }
        b"forgotten_set" => {
            static TARGETS: [Target<'static>; 300] = [PLACE; 300];
            mem::forget(KBox::pin_init(EntrySet::new(&TARGETS, Nop), GFP_KERNEL)?);
            Ok(Kept::new())
        }
        b"forgotten_disabled" => {
            let probe = probe(PLACE, Nop)?;
            probe.disable()?;
            mem::forget(probe);
            Ok(Kept::new())
        }
        b"forgotten_everywhere" => {
            mem::forget(matching(c"*", Nop)?);
            Ok(Kept::new())
        }
        // The library's own functions, those that register and unregister among them.
        b"own_helpers" => just(matching(c"kprobes_*", Nop)?),
        b"own_helpers_forgotten" => {
            mem::forget(matching(c"kprobes_entry_*", Nop)?);
            Ok(Kept::new())
        }
        b"first_in_a_watch" => just(watch(|| {
            if let Err(error) = probe(OTHER, Nop) {
                pr_info!("{error:?}\n");
            }
        })?),
        b"in_a_watch" => {
            let mut kept = just(probe(PLACE, Counts::new("entry"))?)?;
            let watch = watch(|| {
                if probe(OTHER, Counts::new("within")).is_ok() {
                    pr_info!("Ok\n");
                }
            })?;
            keep(&mut kept, watch)?;
            Ok(kept)
        }
        b"registers_at_the_end" => just(probe(PLACE, Finally(Counts::new("outer")))?),
        b"everywhere" => just(matching(c"*", Nop)?),
        // Each of these calls functions that are probed, none of which takes a lock.
        b"many_call" => {
            let looks_up = || {
                let _ = Address::new(0).location();
            };
            just(matching(
                c"vfs_* do_* *sched* *symbol* *printf* string*",
                Does::new("all", looks_up),
            )?)
        }
        b"allocator" => {
            let allocate = || drop(KBox::new([0u64; 8], GFP_ATOMIC));
            just(matching(
                c"__kmalloc* kfree kvfree",
                Does::new("allocator", allocate),
            )?)
        }
        // The functions that run before the library's guard against recursion and after it.
        b"own_callback" => {
            let _set = matching(c"*kprobe*", Nop)?;
            for name in names()?.iter() {
                match KBox::pin_init(Kprobe::new(Target::symbol(name), Nop), GFP_KERNEL) {
                    Err(EINVAL) => {}
                    Ok(_) => return Err(EEXIST),
                    Err(error) => return Err(error),
                }
            }
            Err(EINVAL)
        }
        b"own_handler" => {
            let names = names()?;
            let name = names.first().ok_or(EINVAL)?;
            let mut kept = just(counting(Target::symbol(name), "kprobe")?)?;
            keep(&mut kept, probe(PLACE, Does::new("entry", handled))?)?;
            Ok(kept)
        }
        // Entry probes at functions at which there can be no kprobe, because kprobes call them.
        b"without_kprobes" => {
            let list = CString::try_from_fmt(fmt!("{}", argument.value().ok_or(EINVAL)?))?;
            let mut kept = just(matching(&list, Counts::new("everywhere"))?)?;
            let offset = (1..64).find_map(|offset| counting(PLACE.offset(offset), "inside").ok());
            keep(&mut kept, offset.ok_or(EINVAL)?)?;
            keep(&mut kept, counting(PLACE, "at the entry")?)?;
            Ok(kept)
        }
        b"sleeps" => just(probe(
            PLACE,
            Does::new("sleeps", || fsleep(Delta::from_millis(1))),
        )?),
        _ => Err(ENOTTY),
    }
}
