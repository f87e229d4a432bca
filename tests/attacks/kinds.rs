// SPDX-License-Identifier: GPL-2.0

//! The same attacks on a probe and a set of each kind.

// case counted: harmless
// says: set: CALLS returns, 0 missed
// says: set: CALLS hits, 0 missed
// says: set: CALLS returns, 0 missed
// says: set: CALLS hits, 0 missed
// says: set: [1-9]\d* hits, 0 missed
// says: one: CALLS returns, 0 missed
// says: one: CALLS hits, 0 missed
// says: one: CALLS returns, 0 missed
// says: one: CALLS hits, 0 missed
// says: one: [1-9]\d* hits, 0 missed
// held: 9
// races
// case forgotten: harmless
// says: 1 probe at the module notifier \(ModuleWatch\) was never dropped; unregistering it
// says: 1 probe at sched_process_fork was never dropped; unregistering it
// says some: 1 probe at \w+_sys_getpriority\+0x\w+/0x\w+ was never dropped; unregistering it
// says: set of 2 probes at sched_process_fork was never dropped; unregistering it
// says some: set of 2 probes at \w+_sys_getpriority\+\S+ was never dropped; unregistering it
// held: 9
// case forgotten_disabled: harmless
// says some: (1 probe|set of 2 probes) at \w+(\+0x\w+/0x\w+)? was never dropped; unregistering it
// held: 9
// case forgotten_by_init: refused EIO
// says some: (1 probe|set of 2 probes) at \w+(\+0x\w+/0x\w+)? was never dropped; unregistering it
// case chained: harmless
// case created_in_handlers: harmless
// says: done
// says: done
// says: done
// says: done
// says: done
// held: 3
// case created_under_a_lock: harmless
// case created_in_rcu: harmless
// case created_on_the_stack: harmless
// case panics_on_the_stack: refused EINVAL
// case dropped_under_a_lock: stopped attacks: probe dropped in atomic context
// case dropped_in_rcu: stopped attacks: probe dropped in atomic context
// case set_dropped_in_entry: stopped attacks: probe dropped in atomic context
// case set_dropped_in_tracepoint: stopped attacks: probe dropped in atomic context

use super::*;

const TARGETS: [Target<'static>; 2] = [PLACE, OTHER];
const TRACEPOINTS: [&CStr; 2] = [SCHED_FORK, c"sched_process_exit"];
macro_rules! each {
    ([$($kind:ident: $at:expr),*], $options:expr, $handler:expr, $init:ident, $then:expr) => {{
        $(
            let $init = $kind::with_options($at, $options, $handler);
            $then;
        )*
    }};
}

/// Runs `$then` for the initialiser of a set of each kind.
macro_rules! sets {
    ($at:expr, $names:expr, $options:expr, $handler:expr, |$init:ident| $then:expr) => {{
        let (at, names) = ($at, $names);
        each!(
            [KretprobeSet: &at, KprobeSet: &at, TimedSet: &at, EntrySet: &at,
                TracepointSet: &names],
            $options, $handler, $init, $then
        )
    }};
}

/// Runs `$then` for the initialiser of a probe of each kind.
macro_rules! probes {
    ($options:expr, $handler:expr, |$init:ident| $then:expr) => {
        each!(
            [Kretprobe: PLACE, Kprobe: PLACE, Timed: PLACE, Entry: PLACE, Tracepoint: SCHED_FORK],
            $options, $handler, $init, $then
        )
    };
}

macro_rules! all {
    ($options:expr, |$init:ident| $then:expr) => {{
        sets!(TARGETS, TRACEPOINTS, $options, Nop, |$init| $then);
        probes!($options, Nop, |$init| $then);
    }};
}

/// Checks that the result is this error.
pub(super) fn fails<T>(result: Result<T>, with: Error) -> Result {
    match result {
        Err(error) if error == with => Ok(()),
        _ => Err(EIO),
    }
}

/// Makes objects whose initialisers sleep, in atomic context.
fn all_deadlock() -> Result {
    all!(Options::default(), |init| fails(
        make_and_drop(init),
        EDEADLK
    )?);
    fails(make_and_drop(ModuleWatch::new(Nop)), EDEADLK)?;
    fails(PerCpuCounts::<8>::new(), EDEADLK)
}

fn chained<T>(init: impl PinInit<T, Error>) -> Result<Pin<KBox<T>>> {
    KBox::pin_init(init.pin_chain(|_| Err(EIO)), GFP_KERNEL)
}

#[inline(never)]
fn on_the_stack<T>(init: impl PinInit<T, Error>) -> Result {
    stack_try_pin_init!(let _probe =? init);
    Ok(())
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let mut kept = Kept::new();
    match case {
        b"counted" => {
            let targets = [PLACE, Target::symbol(c"sprint_symbol_no_offset")];
            sets!(
                targets,
                TRACEPOINTS,
                Options::default(),
                Counts::new("set"),
                |init| {
                    add(&mut kept, init)?;
                }
            );
            probes!(Options::default(), Counts::new("one"), |init| add(
                &mut kept, init
            )?);
        }
        b"forgotten" => {
            all!(Options::default(), |init| forget(init)?);
            forget(ModuleWatch::new(Nop))?;
        }
        b"forgotten_disabled" => all!(Options::default().disabled(), |init| forget(init)?),
        b"forgotten_by_init" => {
            all!(Options::default(), |init| forget(init)?);
            return Err(EIO);
        }
        b"chained" => all!(Options::default(), |init| fails(chained(init), EIO)?),
        b"created_in_handlers" => {
            let handler = || calls("", once(all_deadlock));
            probes!(Options::default(), handler(), |init| add(&mut kept, init)?);
        }
        b"created_under_a_lock" => {
            let lock = boxed(new_spinlock!(0))?;
            let _guard = lock.lock();
            all_deadlock()?;
        }
        b"created_in_rcu" => {
            let _guard = kernel::sync::rcu::read_lock();
            all_deadlock()?;
        }
        b"created_on_the_stack" => {
            all!(Options::default(), |init| {
                fails(on_the_stack(init), EINVAL)?;
            });
            fails(on_the_stack(ModuleWatch::new(Nop)), EINVAL)?;
        }
        b"panics_on_the_stack" => {
            stack_try_pin_init!(let _probe =? Kprobe::new(PLACE, Nop));
            panic!("with a probe on the stack");
        }
        b"dropped_under_a_lock" => {
            let lock = boxed(new_spinlock!(Some(boxed(Kprobe::new(PLACE, Nop))?)))?;
            *lock.lock() = None;
        }
        b"dropped_in_rcu" => {
            let probe = boxed(Kprobe::new(PLACE, Nop))?;
            let _guard = kernel::sync::rcu::read_lock();
            drop(probe);
        }
        b"set_dropped_in_entry" => {
            let drops = Drops::of(KprobeSet::new(&TARGETS, Nop))?;
            add(&mut kept, Entry::new(PLACE, drops))?;
        }
        b"set_dropped_in_tracepoint" => {
            let drops = Drops::of(TimedSet::new(&TARGETS, Nop))?;
            add(&mut kept, Tracepoint::new(SCHED_FORK, drops))?;
        }
        _ => return Err(ENOTTY),
    }
    Ok(kept)
}
