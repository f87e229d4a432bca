// SPDX-License-Identifier: GPL-2.0

//! `Entry` and `EntrySet`: hits and misses, several at a function, patterns, life.

use crate::targets::*;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};
use kprobes::{entry, AtEntry, Context, Entry, EntrySet, Refusal, Target};

const DIV: Target<'static> = Target::symbol(c"kut_div");
const MORE: Target<'static> = Target::symbol(c"kut_div_more");
const RECURSED: Target<'static> = Target::symbol(c"kut_recursed");
const NONE: Target<'static> = Target::symbol(c"no_such_function");

impl entry::Handler for Before {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        Seen::add(&self.0.pre);
        self.0.value.store(cx.arg(0), Relaxed);
        self.0.index.store(cx.index() as u64, Relaxed);
        if kut_preemptible() {
            self.0.preemptible.store(true, Relaxed);
        }
    }
}

fn seen() -> Before {
    Before(Seen::new())
}

fn entry(target: Target<'_>) -> Result<Pin<KBox<Entry<Before>>>> {
    KBox::pin_init(Entry::new(target, seen()), GFP_KERNEL)
}

/// Makes an entry probe, in the module's init.
pub(crate) fn first() -> Result {
    entry(DIV).map(drop)
}

fn all(targets: &[Target<'_>]) -> Result<Pin<KBox<EntrySet<Before>>>, Refusal> {
    KBox::try_pin_init(EntrySet::new(targets, seen()), GFP_KERNEL)
}

fn matching(pattern: &CStr) -> Result<Pin<KBox<EntrySet<Before>>>, Refusal> {
    KBox::try_pin_init(EntrySet::matching(pattern, seen()), GFP_KERNEL)
}

fn refusal_of<T>(set: Result<T, Refusal>) -> Option<(Option<usize>, Error)> {
    set.err().map(|refusal| (refusal.target(), refusal.error()))
}

/// Counts hits, and what was missed, in something that outlives it.
struct Shared(Arc<Atomic<u64>>);

impl entry::Handler for Shared {
    fn entry(&self, _cx: &Context<'_, AtEntry>) {
        self.0.fetch_add(1, Relaxed);
    }

    fn unregistered(&self, missed: u64) {
        self.0.fetch_add(1000 + missed, Relaxed);
    }
}

/// Calls probed functions.
struct Calls(Atomic<u64>);

impl entry::Handler for Calls {
    fn entry(&self, _cx: &Context<'_, AtEntry>) {
        self.0.fetch_add(1, Relaxed);
        kut_recursed(some());
        kut_div(some());
    }
}

/// Is interrupted, and calls a probed function in each context.
struct Interrupted([Atomic<u64>; 4]);

impl entry::Handler for Interrupted {
    fn entry(&self, _cx: &Context<'_, AtEntry>) {
        let level = kut_level();
        self.0[level as usize].fetch_add(1, Relaxed);
        kut_recursed(some());
        if level == 0 {
            kut_interrupt();
        }
    }
}

/// Sees its caller and its stack.
struct Looks([Atomic<usize>; 2]);

impl entry::Handler for Looks {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        self.0[0].store(cx.caller().as_usize(), Relaxed);
        self.0[1].store(cx.sp(), Relaxed);
    }
}

/// Sees all arguments.
struct Arguments(Atomic<u64>);

impl entry::Handler for Arguments {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        let (a, b, c, d, e, f): (u8, i8, u16, i16, u32, i32) = cx.args();
        let right = (a, b, c, d, e, f) == (200, -100, 60_000, -30_000, 4_000_000_000, -2);
        let single = cx.arg::<i32>(5) == -2 && cx.arg::<u8>(0) == 200;
        self.0.fetch_add(u64::from(right && single), Relaxed);
    }
}

/// Changes the first argument.
struct Changes;

impl entry::Handler for Changes {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        // SAFETY: The function takes any value.
        unsafe { cx.set_arg(0, 300) };
    }
}

#[kunit_tests(kprobes_entries)]
mod tests {
    use super::*;

    #[test]
    fn hits() -> Result {
        let probe = entry(DIV)?;
        let seen = &probe.handler().0;
        kut_div(77);
        assert_eq!(seen.hits(), (1, 0));
        assert_eq!(seen.last(), 77);
        assert_eq!(seen.index.load(Relaxed), 0);
        assert!(!seen.preemptible.load(Relaxed));
        assert!(probe.is_enabled() && !probe.is_gone());
        kut_div_more(some());
        assert_eq!((seen.hits().0, probe.missed()), (1, 0));
        assert!(kut_preemptible());
        Ok(())
    }

    #[test]
    fn arguments() -> Result {
        let probe = Entry::new(Target::symbol(c"kut_integers"), Arguments(Atomic::new(0)));
        let probe = KBox::pin_init(probe, GFP_KERNEL)?;
        kut_integers(200, -100, 60_000, -30_000, 4_000_000_000, -2);
        assert_eq!(probe.handler().0.load(Relaxed), 1);
        Ok(())
    }

    #[test]
    fn set_arg() -> Result {
        let probe = KBox::pin_init(Entry::new(DIV, Changes), GFP_KERNEL)?;
        assert_eq!(kut_div(some()), 100);
        drop(probe);
        assert_eq!(kut_div(30), 10);
        Ok(())
    }

    #[test]
    fn caller_and_stack() -> Result {
        let looks = Looks([const { Atomic::new(0) }; 2]);
        let probe = Entry::new(Target::symbol(c"kut_stack_inner"), looks);
        let probe = KBox::pin_init(probe, GFP_KERNEL)?;
        let local = 0_usize;
        kut_stack_driver();
        let [caller, sp] = probe.handler().0.each_ref().map(|seen| seen.load(Relaxed));
        let mut next = 0;
        // It is one of the return addresses that unwinding found in that call.
        assert!(kut_stack_find(caller, &mut next) >= 0);
        let here = &raw const local as usize;
        assert!(sp < here && here - sp < 4096);
        Ok(())
    }

    #[test]
    fn refusals() {
        assert!(error_of(entry(NONE)) == Some(ENOENT));
        assert!(error_of(entry(DIV.offset(1))) == Some(EINVAL));
        assert!(error_of(entry(DIV.offset(8))) == Some(EINVAL));
        // Assembly without a call of ftrace.
        assert!(error_of(entry(Target::symbol(c"kut_registers"))) == Some(EINVAL));
        assert!(error_of(entry(Target::address(0))).is_some());
        assert!(refusal_of(all(&[])) == Some((None, EINVAL)));
    }

    #[test]
    fn by_address() -> Result {
        let kprobe = before(DIV)?;
        let probe = entry(Target::address(kprobe.address().as_usize()))?;
        drop(kprobe);
        kut_div(some());
        assert_eq!(probe.handler().0.hits().0, 1);
        Ok(())
    }

    #[test]
    fn not_on_the_stack() {
        pin_init::stack_try_pin_init!(let probe = Entry::new(DIV, seen()));
        assert!(error_of(probe) == Some(EINVAL));
    }

    #[test]
    fn disabled() -> Result {
        let probe = entry(DIV)?;
        let other = entry(DIV)?;
        let hits = || (probe.handler().0.hits().0, other.handler().0.hits().0);
        probe.disable()?;
        probe.disable()?;
        assert!(!probe.is_enabled());
        kut_div(some());
        assert_eq!(hits(), (0, 1));
        // The function leaves the filter, and the ops is unregistered.
        other.disable()?;
        kut_div(some());
        assert_eq!(hits(), (0, 1));
        probe.enable()?;
        probe.enable()?;
        kut_div(some());
        assert_eq!(hits(), (1, 1));
        other.enable()?;
        kut_div(some());
        assert_eq!(hits(), (2, 2));
        assert_eq!((probe.missed(), other.missed()), (0, 0));
        Ok(())
    }

    #[test]
    fn a_disabled_target() -> Result {
        let probe = entry(DIV.disabled())?;
        assert!(!probe.is_enabled());
        kut_div(some());
        assert_eq!(probe.handler().0.hits().0, 0);
        probe.enable()?;
        kut_div(some());
        assert_eq!(probe.handler().0.hits().0, 1);
        // One of a set, while no function is in the filter and while that one is.
        for _ in 0..2 {
            let targets = [DIV.disabled(), MORE];
            let set = all(&targets)?;
            let enabled = |n| set.get(n).is_some_and(|probe| probe.is_enabled());
            assert_eq!((enabled(0), enabled(1)), (false, true));
            kut_div(some());
            kut_div_more(some());
            assert_eq!(set.handler().0.hits().0, 1);
            drop(set);
            probe.disable()?;
        }
        // Of none.
        drop(all(&[DIV.disabled(), MORE.disabled()])?);
        drop(entry(DIV.disabled())?);
        kut_div(some());
        Ok(())
    }

    #[test]
    fn disabled_until_the_end() -> Result {
        let probe = entry(DIV)?;
        let other = entry(MORE)?;
        probe.disable()?;
        drop(probe);
        kut_div_more(some());
        assert_eq!(other.handler().0.hits().0, 1);
        other.disable()?;
        drop(other);
        let probe = entry(DIV)?;
        kut_div(some());
        assert_eq!(probe.handler().0.hits().0, 1);
        Ok(())
    }

    #[test]
    fn calls_of_its_own() -> Result {
        let calls = KBox::pin_init(Entry::new(DIV, Calls(Atomic::new(0))), GFP_KERNEL)?;
        let recursed = entry(RECURSED)?;
        let off = entry(RECURSED)?;
        off.disable()?;
        for _ in 0..1000 {
            kut_div(some());
        }
        // In the handler, both functions are missed.
        assert_eq!(
            (calls.handler().0.load(Relaxed), calls.missed()),
            (1000, 1000)
        );
        assert_eq!(
            (recursed.handler().0.hits().0, recursed.missed()),
            (0, 1000)
        );
        // A disabled probe misses nothing.
        assert_eq!(off.missed(), 0);
        kut_recursed(some());
        assert_eq!(recursed.handler().0.hits().0, 1);
        Ok(())
    }

    #[test]
    fn interrupt_of_a_handler() -> Result {
        let handler = Interrupted([const { Atomic::new(0) }; 4]);
        let probe = KBox::pin_init(Entry::new(RECURSED, handler), GFP_KERNEL)?;
        kut_recursed(some());
        let hits = probe.handler().0.each_ref().map(|hits| hits.load(Relaxed));
        // Task, softirq and interrupt each have their hit, and miss the call in it.
        assert_eq!(hits[..3], [1, 1, 1]);
        assert_eq!(probe.missed(), 3);
        Ok(())
    }

    #[test]
    fn many_at_a_function() -> Result {
        let set = all(&[DIV; 20])?;
        let single = entry(DIV)?;
        kut_div(some());
        assert_eq!(set.handler().0.hits().0, 20);
        assert_eq!(single.handler().0.hits().0, 1);
        set.get(7).ok_or(ENOENT)?.disable()?;
        kut_div(some());
        assert_eq!(set.handler().0.hits().0, 39);
        assert_eq!(single.handler().0.hits().0, 2);
        drop(set);
        kut_div(some());
        assert_eq!(single.handler().0.hits().0, 3);
        Ok(())
    }

    #[test]
    fn sets() -> Result {
        let set = all(&[DIV, MORE])?;
        let seen = &set.handler().0;
        assert_eq!(set.len(), 2);
        kut_div_more(some());
        assert_eq!((seen.hits().0, seen.index.load(Relaxed)), (1, 1));
        kut_div(some());
        assert_eq!((seen.hits().0, seen.index.load(Relaxed)), (2, 0));
        assert!(set.get(0).is_some() && set.get(1).is_some() && set.get(2).is_none());
        assert!(set.refused().next().is_none());
        Ok(())
    }

    #[test]
    fn all_or_none() -> Result {
        let counter = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let targets = [DIV, MORE, NONE, RECURSED];
        let set = EntrySet::new(&targets, Shared(counter.clone()));
        assert!(refusal_of(KBox::try_pin_init(set, GFP_KERNEL)) == Some((Some(2), ENOENT)));
        kut_div(some());
        assert_eq!(counter.load(Relaxed), 0);
        let set = EntrySet::where_possible(&targets, Shared(counter.clone()));
        let set = KBox::try_pin_init(set, GFP_KERNEL)?;
        assert!(set.iter().map(|(index, _)| index).eq([0, 1, 3]));
        let refused = set.refused().map(|r| (r.target(), r.error()));
        assert!(refused.eq([(Some(2), ENOENT)]));
        assert!(set.get(2).is_none() && set.get(3).is_some());
        kut_div(some());
        kut_recursed(some());
        assert_eq!(counter.load(Relaxed), 2);
        drop(set);
        kut_div(some());
        assert_eq!(counter.load(Relaxed), 1002);
        let set = EntrySet::where_possible(&targets[2..3], Shared(counter.clone()));
        assert!(refusal_of(KBox::try_pin_init(set, GFP_KERNEL)) == Some((Some(0), ENOENT)));
        assert_eq!(counter.load(Relaxed), 1002);
        Ok(())
    }

    #[test]
    fn patterns() -> Result {
        let set = matching(c"kut_div*")?;
        assert_eq!(set.len(), 2);
        kut_div(some());
        kut_div_more(some());
        kut_mix(1, 2);
        assert_eq!(set.handler().0.hits().0, 2);
        let list = matching(c"kut_mix, kut_d?v\tkut_[m-r]ix,")?;
        assert_eq!(list.len(), 2);
        kut_div(some());
        kut_mix(1, 2);
        assert_eq!(list.handler().0.hits().0, 2);
        assert_eq!(set.handler().0.hits().0, 3);
        // The index is that of the probe.
        let index = list.handler().0.index.load(Relaxed) as usize;
        let mix = list.get(index).ok_or(ENOENT)?;
        drop(set);
        mix.disable()?;
        kut_mix(1, 2);
        assert_eq!(list.handler().0.hits().0, 2);
        Ok(())
    }

    #[test]
    fn patterns_that_are_refused() {
        let refused = |pattern| refusal_of(matching(pattern));
        assert!(refused(c"") == Some((None, EINVAL)));
        assert!(refused(c" , ") == Some((None, EINVAL)));
        assert!(refused(c"kut_div no_such_*") == Some((Some(1), ENOENT)));
        assert!(refused(c"5") == Some((Some(0), EINVAL)));
        assert!(refused(c"kut_div,!kut_div") == Some((Some(1), EINVAL)));
        assert!(refused(c"kut_div:traceoff") == Some((Some(0), EINVAL)));
        // Not a function that ftrace knows.
        assert!(refused(c"kut_registers") == Some((Some(0), ENOENT)));
    }

    #[test]
    fn everything() -> Result {
        let single = entry(DIV)?;
        let counter = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let set = EntrySet::matching(c"*", Shared(counter.clone()));
        let set = KBox::try_pin_init(set, GFP_KERNEL)?;
        assert!(set.len() > 5000);
        let before = counter.load(Relaxed);
        kut_div(some());
        assert!(counter.load(Relaxed) > before);
        drop(set);
        let after = counter.load(Relaxed);
        kut_div(some());
        assert_eq!(counter.load(Relaxed), after);
        assert_eq!(single.handler().0.hits().0, 2);
        Ok(())
    }

    #[test]
    fn a_table_that_grows() -> Result {
        let mut probes = KVec::new();
        for target in [DIV, MORE, RECURSED].iter().cycle().take(100) {
            probes.push(entry(*target)?, GFP_KERNEL)?;
        }
        let set = matching(c"kut_*")?;
        kut_div(some());
        assert_eq!(set.handler().0.hits().0, 1);
        let hits = |probes: &KVec<Pin<KBox<Entry<Before>>>>| {
            probes.iter().map(|p| p.handler().0.hits().0).sum::<u64>()
        };
        assert_eq!(hits(&probes), 34);
        probes.truncate(50);
        kut_div_more(some());
        kut_div(some());
        assert_eq!(hits(&probes), 17 + 17 + 17);
        drop(set);
        Ok(())
    }

    #[test]
    fn beside_a_kprobe() -> Result {
        let kprobe = before(DIV)?;
        let probe = entry(DIV)?;
        let ret = kut_div(30);
        assert_eq!(ret, 10);
        assert_eq!(kprobe.handler().0.hits().0, 1);
        assert_eq!(probe.handler().0.hits().0, 1);
        drop(kprobe);
        kut_div(some());
        assert_eq!(probe.handler().0.hits().0, 2);
        Ok(())
    }

    #[test]
    fn alone_or_refused() -> Result {
        let alone = |target| KBox::pin_init(Entry::alone(target, seen()), GFP_KERNEL);
        assert!(error_of(alone(NONE)) == Some(ENOENT));
        let first = alone(DIV)?;
        // An entry probe of this module is no other tracer, if that can be found out.
        let second = alone(DIV);
        kut_div(some());
        assert_eq!(first.handler().0.hits().0, 1);
        if cfg!(any(CONFIG_X86_64, CONFIG_DYNAMIC_FTRACE_WITH_CALL_OPS)) {
            assert_eq!(second?.handler().0.hits().0, 1);
        } else {
            assert!(error_of(second) == Some(EEXIST));
        }
        drop(first);

        let kprobe = before(DIV)?;
        // Without KPROBES_ON_FTRACE, that one is not at ftrace's call.
        let refused = kprobe.uses_ftrace().then_some(EEXIST);
        assert!(error_of(alone(DIV)) == refused);
        kprobe.disable()?;
        assert!(error_of(alone(DIV)).is_none());
        drop(kprobe);
        assert!(error_of(alone(DIV)).is_none());
        Ok(())
    }

    #[test]
    fn one_grace_period_for_all() -> Result {
        let keeps_the_ops = entry(MORE)?;
        let set = all(&[DIV; 20])?;
        let waits = before(Target::symbol(c"synchronize_rcu"))?;
        drop(set);
        let (hits, _) = waits.handler().0.hits();
        assert!((1..5).contains(&hits));
        drop(keeps_the_ops);
        Ok(())
    }
}
