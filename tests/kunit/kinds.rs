// SPDX-License-Identifier: GPL-2.0

//! A suite for each kind of probe, with the same cases.

use crate::targets::*;
use kernel::fmt::Arguments;
use kernel::new_spinlock;
use kernel::str::CString;
use kprobes::probe::Handles;
use kprobes::probe::Kind;
use kprobes::probe::Options;
use kprobes::probe::Probe;
use kprobes::probe::Set;

type Opt<K> = Options<<K as Kind>::Specific>;
type One<K> = Result<Pin<KBox<Probe<K, <K as Tested>::Handler>>>>;
type Several<K> = Result<Pin<KBox<Set<K, <K as Tested>::Handler>>>>;

/// A kind of probe, and how to test it.
trait Tested: Kind {
    /// Always [`Counts`].
    type Handler: Handles<Self>;
    const PLACES: Places<Self::Target<'static>>;
    const MECHANISM: Mechanism;

    fn one(place: usize, options: Opt<Self>, seen: &Arc<State>) -> One<Self>;
    fn set(places: &[usize], options: Opt<Self>, seen: &Arc<State>) -> Several<Self>;

    fn call(place: usize) {
        Self::PLACES.calls[place]();
    }
}

/// Two places, their names and the calls that hit them. The third place does not exist.
struct Places<T> {
    targets: [T; 3],
    names: [&'static str; 2],
    calls: [fn(); 2],
}

struct State {
    task: i32,
    hits: [Atomic<u64>; 3],
    address: Atomic<usize>,
    preemptible: Atomic<bool>,
    /// The number of calls of `unregistered`, and the sum of its arguments.
    unregistered: [Atomic<u64>; 2],
    dropped: Atomic<u64>,
    /// Called at each hit and by `unregistered`.
    nested: fn(),
}

fn state_with(nested: fn()) -> Result<Arc<State>> {
    let state = State {
        task: current!().pid(),
        hits: [const { Atomic::new(0) }; 3],
        address: Atomic::new(0),
        preemptible: Atomic::new(false),
        unregistered: [const { Atomic::new(0) }; 2],
        dropped: Atomic::new(0),
        nested,
    };
    Ok(Arc::new(state, GFP_KERNEL)?)
}

fn state() -> Result<Arc<State>> {
    state_with(|| {})
}

impl State {
    fn hits(&self) -> [u64; 3] {
        self.hits.each_ref().map(|hits| hits.load(Relaxed))
    }

    fn ended(&self) -> [u64; 2] {
        [&self.unregistered[0], &self.dropped].map(|calls| calls.load(Relaxed))
    }
}

struct Counts(Arc<State>);

handlers!(Counts);

impl Hits for Counts {
    fn hit<At: Place>(&self, cx: &Context<'_, At>, address: Option<Address>) {
        // Other tasks hit tracepoints, too.
        if address.is_none() && cx.pid() != self.0.task {
            return;
        }
        if kut_preemptible() {
            self.0.preemptible.store(true, Relaxed);
        }
        let address = address.map_or(0, Address::as_usize);
        self.0.address.store(address, Relaxed);
        if let Some(hits) = self.0.hits.get(cx.index()) {
            hits.fetch_add(1, Relaxed);
        }
        (self.0.nested)();
    }

    fn end(&self, _what: &str, missed: u64) {
        self.0.unregistered[0].fetch_add(1, Relaxed);
        self.0.unregistered[1].fetch_add(missed, Relaxed);
        (self.0.nested)();
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Relaxed);
    }
}

const FUNCTIONS: Places<Target<'static>> = Places {
    targets: [DIV, MORE, NONE],
    names: ["kut_div", "kut_div_more"],
    calls: [|| _ = kut_div(some()), || _ = kut_div_more(some())],
};

const TRACEPOINTS: Places<&CStr> = Places {
    targets: [c"module_get", c"timer_init", c"no_such_tracepoint"],
    names: ["module_get", "timer_init"],
    calls: [|| kut_use_module(), || kut_init_timer()],
};

/// The mechanism of a kprobe at a function's entry.
const AT_ENTRY: Mechanism = if cfg!(CONFIG_KPROBES_ON_FTRACE) {
    Mechanism::Ftrace
} else {
    Mechanism::Breakpoint
};

/// Implements `Tested` for each kind and declares its suite.
macro_rules! kinds {
    ($($suite:ident: $kind:ty, $places:expr, $mechanism:expr, $one:expr, $set:expr;)*) => {$(
        impl Tested for $kind {
            type Handler = Counts;
            const PLACES: Places<Self::Target<'static>> = $places;
            const MECHANISM: Mechanism = $mechanism;

            fn one(place: usize, options: Opt<Self>, seen: &Arc<State>) -> One<Self> {
                boxed($one(Self::PLACES.targets[place], options, Counts(seen.clone())))
            }

            fn set(places: &[usize], options: Opt<Self>, seen: &Arc<State>) -> Several<Self> {
                let mut targets = KVec::new();
                for &place in places {
                    targets.push(Self::PLACES.targets[place], GFP_KERNEL)?;
                }
                boxed($set(&targets[..], options, Counts(seen.clone())))
            }
        }

        #[kunit_tests($suite)]
        mod $suite {
            use super::*;

            #[test]
            fn a_hit_and_the_state_of_the_probe() -> Result { queries::<$kind>() }
            #[test]
            fn a_probe_is_enabled_and_disabled() -> Result { enabling::<$kind>() }
            #[test]
            fn a_probe_is_registered_disabled() -> Result { disabled::<$kind>() }
            #[test]
            fn a_set_has_members_and_indices() -> Result { members::<$kind>() }
            #[test]
            fn a_set_is_all_or_none() -> Result { refusals::<$kind>() }
            #[test]
            fn a_partial_set_omits_refused_targets() -> Result { partial::<$kind>() }
            #[test]
            fn drop_unregisters_then_reports_then_drops_the_handler() -> Result { end::<$kind>() }
            #[test]
            fn a_call_in_a_handler_is_missed() -> Result { missed::<$kind>() }
            #[test]
            fn a_set_has_one_grace_period() -> Result { grace_periods::<$kind>() }
            #[test]
            fn enabling_in_atomic_context_is_refused() -> Result { atomic::<$kind>() }
        }
    )*};
}

kinds! {
    kprobes_kind_kprobe: kprobe::Kind, FUNCTIONS, AT_ENTRY,
        Kprobe::with_options, KprobeSet::with_options;
    kprobes_kind_kretprobe: kretprobe::Kind, FUNCTIONS, AT_ENTRY,
        Kretprobe::with_options, KretprobeSet::with_options;
    kprobes_kind_timed: timed::Kind, FUNCTIONS, AT_ENTRY,
        Timed::with_options, TimedSet::with_options;
    kprobes_kind_override: overrides::Kind, FUNCTIONS, AT_ENTRY,
        // SAFETY: The handler never overrides.
        |target, options, handler| unsafe { Override::with_options(target, options, handler) },
        // SAFETY: As above.
        |targets, options, handler| unsafe { OverrideSet::with_options(targets, options, handler) };
    kprobes_kind_redirect: redirect::Kind, FUNCTIONS, AT_ENTRY,
        // SAFETY: The handler never redirects.
        |target, options, handler| unsafe { Redirect::with_options(target, options, handler) },
        // SAFETY: As above.
        |targets, options, handler| unsafe { RedirectSet::with_options(targets, options, handler) };
    kprobes_kind_entry: entry::Kind, FUNCTIONS, Mechanism::Entry,
        Entry::with_options, EntrySet::with_options;
    kprobes_kind_tracepoint: tracepoint::Kind, TRACEPOINTS, Mechanism::Tracepoint,
        Tracepoint::with_options, TracepointSet::with_options;
}

/// Fails the case and drops its probes. KUnit's `assert!` would end the thread.
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            pr_err!("line {}: not so: {}\n", line!(), stringify!($condition));
            return Err(EINVAL);
        }
    };
}

fn printed(text: Arguments<'_>, name: &str) -> bool {
    CString::try_from_fmt(text).is_ok_and(|text| {
        let mut parts = text.to_bytes().windows(name.len());
        parts.any(|part| part == name.as_bytes())
    })
}

fn queries<K: Tested>() -> Result {
    let seen = state()?;
    let probe = K::one(0, Options::default(), &seen)?;
    K::call(0);
    K::call(1);
    check!(seen.hits() == [1, 0, 0]);
    let function = K::MECHANISM != Mechanism::Tracepoint;
    // A tracepoint's handler may be preempted.
    check!(!function || !seen.preemptible.load(Relaxed));
    check!(probe.address().is_some() == function);
    check!(at(&probe) == seen.address.load(Relaxed));
    check!(probe.mechanism() == K::MECHANISM);
    check!(probe.is_enabled() && !probe.is_gone() && probe.missed() == 0);
    let name = K::PLACES.names[0];
    check!(printed(fmt!("{}", probe.location()), name));
    for part in [name, "enabled: true", "gone: false", "missed: 0"] {
        check!(printed(fmt!("{probe:?}"), part));
    }
    Ok(())
}

fn enabling<K: Tested>() -> Result {
    let (seen, other_seen) = (state()?, state()?);
    let probe = K::one(0, Options::default(), &seen)?;
    let other = K::one(0, Options::default(), &other_seen)?;
    let calls = |on: bool, other_on: bool| {
        let before = (seen.hits()[0], other_seen.hits()[0]);
        K::call(0);
        probe.is_enabled() == on
            && other.is_enabled() == other_on
            && seen.hits()[0] - before.0 == u64::from(on)
            && other_seen.hits()[0] - before.1 == u64::from(other_on)
    };
    check!(calls(true, true));
    // The second call has no effect.
    for _ in 0..2 {
        probe.disable()?;
        check!(calls(false, true));
    }
    other.disable()?;
    check!(calls(false, false));
    for _ in 0..2 {
        probe.enable()?;
        check!(calls(true, false));
    }
    other.enable()?;
    check!(calls(true, true));
    check!(probe.missed() == 0 && other.missed() == 0);
    // A probe may be disabled when it is dropped.
    probe.disable()?;
    drop(probe);
    K::call(0);
    check!(seen.hits()[0] == 4 && other_seen.hits()[0] == 5);
    Ok(())
}

fn disabled<K: Tested>() -> Result {
    let seen = state()?;
    let probe = K::one(0, Options::default().disabled(), &seen)?;
    check!(!probe.is_enabled());
    K::call(0);
    check!(seen.hits() == [0; 3]);
    probe.enable()?;
    K::call(0);
    check!(seen.hits() == [1, 0, 0]);
    // A set at the same place as another probe, first an enabled and then a disabled one.
    for _ in 0..2 {
        let seen = state()?;
        let set = K::set(&[0, 1], Options::default().disabled(), &seen)?;
        let hits = |wanted| {
            K::call(0);
            K::call(1);
            seen.hits() == wanted
        };
        check!(set.iter().all(|(_, probe)| !probe.is_enabled()));
        check!(hits([0, 0, 0]));
        set.enable()?;
        check!(hits([1, 1, 0]));
        set.get(0).ok_or(ENOENT)?.disable()?;
        check!(hits([1, 2, 0]));
        // One member is already enabled; below, one is already disabled.
        set.enable()?;
        check!(set.iter().all(|(_, probe)| probe.is_enabled()));
        check!(hits([2, 3, 0]));
        set.get(1).ok_or(ENOENT)?.disable()?;
        set.disable()?;
        set.disable()?;
        check!(set.iter().all(|(_, probe)| !probe.is_enabled()));
        check!(hits([2, 3, 0]));
        drop(set);
        check!(hits([2, 3, 0]) && seen.ended() == [1, 1]);
        probe.disable()?;
    }
    Ok(())
}

fn members<K: Tested>() -> Result {
    let seen = state()?;
    let set = K::set(&[1, 0], Options::default(), &seen)?;
    K::call(1);
    check!(seen.hits() == [1, 0, 0]);
    K::call(0);
    check!(seen.hits() == [1, 1, 0]);
    check!(set.len() == 2 && set.missed() == 0);
    check!(set.get(0).is_some() && set.get(1).is_some() && set.get(2).is_none());
    check!(set.iter().map(|(index, _)| index).eq([0, 1]));
    check!(set.refused().next().is_none());
    for (index, probe) in set.iter() {
        let name = K::PLACES.names[1 - index];
        check!(printed(fmt!("{set:?}"), name) && printed(fmt!("{}", probe.location()), name));
        check!(probe.mechanism() == K::MECHANISM);
        check!(probe.address().is_none() == (K::MECHANISM == Mechanism::Tracepoint));
    }
    // `get` returns the right member.
    set.get(0).ok_or(ENOENT)?.disable()?;
    K::call(0);
    K::call(1);
    check!(seen.hits() == [1, 2, 0]);
    let enabled = set.iter().map(|(_, probe)| probe.is_enabled());
    check!(enabled.eq([false, true]));
    Ok(())
}

fn refusals<K: Tested>() -> Result {
    let seen = state()?;
    check!(error_of(K::one(2, Options::default(), &seen)) == Some(ENOENT));
    check!(error_of(K::set(&[], Options::default(), &seen)) == Some(EINVAL));
    check!(error_of(K::set(&[], Options::default().partial(), &seen)) == Some(EINVAL));
    check!(seen.ended() == [0, 3]);
    check!(error_of(K::set(&[0, 1, 2, 0], Options::default(), &seen)) == Some(ENOENT));
    // The first two targets are unregistered again, without a call of `unregistered`.
    K::call(0);
    K::call(1);
    check!(seen.hits() == [0; 3] && seen.ended() == [0, 4]);
    Ok(())
}

fn partial<K: Tested>() -> Result {
    let seen = state()?;
    let set = K::set(&[0, 2, 1], Options::default().partial(), &seen)?;
    check!(set.len() == 2);
    check!(set.get(0).is_some() && set.get(1).is_none() && set.get(2).is_some());
    check!(set.iter().map(|(index, _)| index).eq([0, 2]));
    let wanted = |refusal: Refusal| (refusal.target, refusal.error) == (1, ENOENT);
    check!(set.refused().count() == 1 && set.refused().all(wanted));
    K::call(0);
    K::call(1);
    check!(seen.hits() == [1, 0, 1]);
    drop(set);
    check!(seen.ended() == [1, 1]);
    let none = K::set(&[2, 2], Options::default().partial(), &seen);
    check!(error_of(none) == Some(ENOENT));
    check!(seen.ended() == [1, 2]);
    // The option has no effect on a single probe.
    check!(error_of(K::one(2, Options::default().partial(), &seen)) == Some(ENOENT));
    Ok(())
}

fn end<K: Tested>() -> Result {
    let seen = state_with(|| K::call(0))?;
    let probe = K::one(0, Options::default(), &seen)?;
    K::call(0);
    check!(seen.ended() == [0, 0]);
    // `unregistered` makes a call, which is not a hit.
    drop(probe);
    K::call(0);
    check!(seen.ended() == [1, 1]);
    drop(K::set(&[0, 1], Options::default(), &seen)?);
    K::call(0);
    check!(seen.ended() == [2, 2]);
    check!(seen.hits() == [1, 0, 0]);
    Ok(())
}

fn missed<K: Tested>() -> Result {
    let seen = state_with(|| K::call(1))?;
    let set = K::set(&[1, 0, 1], Options::default(), &seen)?;
    for _ in 0..3 {
        K::call(0);
    }
    check!(seen.hits() == [0, 3, 0]);
    K::call(1);
    check!(seen.hits() == [1, 3, 1]);
    // Misses: three in the hits of member 1, and two in the hits at their own place.
    check!(set.iter().map(|(_, probe)| probe.missed()).eq([5, 0, 5]));
    check!(set.missed() == 10);
    drop(set);
    check!(seen.unregistered[1].load(Relaxed) == 10);
    Ok(())
}

fn grace_periods<K: Tested>() -> Result {
    // Keeps the `ftrace_ops` of entry probes registered.
    let kept = K::one(1, Options::default(), &state()?)?;
    let set = K::set(&[0; 20], Options::default(), &state()?)?;
    let waits = [
        Target::symbol(c"synchronize_rcu"),
        Target::symbol(c"synchronize_srcu"),
    ];
    let waits = boxed(KprobeSet::new(&waits, Before(Seen::new())))?;
    drop(set);
    // ftrace waits, too, but one wait per member would be more.
    let (hits, _) = waits.handler().0.hits();
    drop(kept);
    check!((1..20).contains(&hits));
    Ok(())
}

fn atomic<K: Tested>() -> Result {
    let seen = state()?;
    let probe = K::one(0, Options::default(), &seen)?;
    let set = K::set(&[0, 1], Options::default(), &seen)?;
    let lock = KBox::pin_init(new_spinlock!(()), GFP_KERNEL)?;
    let guard = lock.lock();
    let results = [probe.enable(), probe.disable(), set.enable(), set.disable()];
    drop(guard);
    check!(results == [Err(EDEADLK); 4]);
    Ok(())
}
