// SPDX-License-Identifier: GPL-2.0

//! `KprobeSet` and `KretprobeSet`: all or nothing, one grace period, and the index.

use crate::{
    kretprobe::Thirds,
    targets::*, //
};
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
use kprobes::{kprobe, kretprobe, Context, KprobeSet, KretprobeSet, Refusal, Return, Target};

const TWO: [Target<'static>; 2] = [Target::symbol(c"kut_div"), Target::symbol(c"kut_div_more")];

const THIRD_FAILS: [Target<'static>; 4] = [
    Target::symbol(c"kut_div"),
    Target::symbol(c"kut_div_more"),
    Target::symbol(c"no_such_function"),
    Target::symbol(c"kut_recursed"),
];

/// Counts in something that outlives it.
struct Shared(Arc<Atomic<u64>>);

#[vtable]
impl kprobe::Handler for Shared {
    fn pre(&self, _cx: &Context<'_>) {
        self.0.fetch_add(1, Relaxed);
    }

    fn unregistered(&self, missed: usize) {
        self.0.fetch_add(1000 + missed as u64, Relaxed);
    }
}

#[vtable]
impl kretprobe::Handler for Shared {
    type Data = ();

    fn ret(&self, _cx: &Context<'_, Return>, (): ()) {
        self.0.fetch_add(1, Relaxed);
    }

    fn unregistered(&self, missed: usize) {
        self.0.fetch_add(1000 + missed as u64, Relaxed);
    }
}

fn refusal_of<T>(set: Result<T, Refusal>) -> Option<(Option<usize>, Error)> {
    set.err().map(|refusal| (refusal.target(), refusal.error()))
}

#[kunit_tests(kprobes_sets)]
mod tests {
    use super::*;

    #[test]
    fn kprobes() -> Result {
        let set = KBox::pin_init(KprobeSet::new(&TWO, Around(Seen::new())), GFP_KERNEL)?;
        let seen = &set.handler().0;
        assert_eq!(set.len(), 2);
        kut_div(some());
        assert_eq!(seen.hits(), (1, 1));
        assert_eq!(seen.index.load(Relaxed), 0);
        kut_div_more(some());
        assert_eq!(seen.hits(), (2, 2));
        assert_eq!(seen.index.load(Relaxed), 1);
        assert!(!seen.preemptible.load(Relaxed));
        Ok(())
    }

    #[test]
    fn kretprobes() -> Result {
        let set = KBox::pin_init(KretprobeSet::new(&TWO, 0, Thirds::new()), GFP_KERNEL)?;
        let handler = set.handler();
        kut_div(some());
        assert_eq!(handler.seen.index.load(Relaxed), 0);
        kut_div_more(some());
        assert_eq!(handler.seen.index.load(Relaxed), 1);
        assert_eq!(handler.seen.hits(), (2, 2));
        assert_eq!(handler.wrong.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn members() -> Result {
        let set = KBox::pin_init(KprobeSet::new(&TWO, Before(Seen::new())), GFP_KERNEL)?;
        let first = set.get(0).ok_or(ENOENT)?;
        let second = set.get(1).ok_or(ENOENT)?;
        assert!(set.get(2).is_none());
        assert!(first.address() != second.address());
        first.disable()?;
        kut_div(some());
        kut_div_more(some());
        assert_eq!(set.handler().0.hits(), (1, 0));
        assert_eq!(set.handler().0.index.load(Relaxed), 1);
        assert!(!first.is_enabled() && second.is_enabled());
        Ok(())
    }

    #[test]
    fn the_third_member_fails() -> Result {
        let counter = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let set = KprobeSet::new(&THIRD_FAILS, Shared(counter.clone()));
        assert!(refusal_of(KBox::try_pin_init(set, GFP_KERNEL)) == Some((Some(2), ENOENT)));
        // The first two are not registered any more.
        kut_div(some());
        kut_div_more(some());
        assert_eq!(counter.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn the_third_return_member_fails() -> Result {
        let counter = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let set = KretprobeSet::new(&THIRD_FAILS, 0, Shared(counter.clone()));
        assert!(refusal_of(KBox::try_pin_init(set, GFP_KERNEL)) == Some((Some(2), ENOENT)));
        // The first two are not registered any more.
        kut_div(some());
        kut_div_more(some());
        assert_eq!(counter.load(Relaxed), 0);
        // Registered, it would have counted.
        let set = KretprobeSet::new(&THIRD_FAILS[..2], 0, Shared(counter.clone()));
        let set = KBox::pin_init(set, GFP_KERNEL)?;
        kut_div(some());
        assert_eq!(counter.load(Relaxed), 1);
        drop(set);
        Ok(())
    }

    #[test]
    fn where_possible_leaves_the_third_out() -> Result {
        let counter = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let targets = [THIRD_FAILS[0], THIRD_FAILS[2], THIRD_FAILS[1]];
        let set = KprobeSet::where_possible(&targets, Shared(counter.clone()));
        let set = KBox::pin_init(set, GFP_KERNEL)?;
        assert_eq!(set.len(), 2);
        assert!(set.get(0).is_some() && set.get(1).is_none() && set.get(2).is_some());
        assert!(set.iter().map(|(index, _)| index).eq([0, 2]));
        let refused = set.refused().map(|r| (r.target(), r.error()));
        assert!(refused.eq([(Some(1), ENOENT)]));
        kut_div(some());
        kut_div_more(some());
        assert_eq!(counter.load(Relaxed), 2);
        drop(set);
        kut_div(some());
        assert_eq!(counter.load(Relaxed), 1002);
        Ok(())
    }

    #[test]
    fn where_possible_with_post_inside() -> Result {
        // The refused one is between those that stay and those that are registered again.
        let inside = offset_inside(5).ok_or(ENOENT)?;
        let kut_mix = Target::symbol(c"kut_mix").offset(inside);
        let targets = [
            THIRD_FAILS[2],
            kut_mix,
            TWO[0],
            THIRD_FAILS[2],
            TWO[1],
            kut_mix,
        ];
        let set = KprobeSet::where_possible(&targets, Around(Seen::new()));
        let set = KBox::pin_init(set, GFP_KERNEL)?;
        assert!(set.iter().map(|(index, _)| index).eq([1, 2, 4, 5]));
        kut_div(some());
        assert_eq!(set.handler().0.hits(), (1, 1));
        super::kut_mix(1, 2);
        assert_eq!(set.handler().0.hits(), (3, 3));
        Ok(())
    }

    #[test]
    fn where_nothing_is_possible() -> Result {
        let counter = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let targets = [THIRD_FAILS[2], THIRD_FAILS[2]];
        let set = KretprobeSet::where_possible(&targets, 0, Shared(counter.clone()));
        assert!(refusal_of(KBox::try_pin_init(set, GFP_KERNEL)) == Some((Some(0), ENOENT)));
        let set = KprobeSet::where_possible(&[], Shared(counter));
        assert!(refusal_of(KBox::try_pin_init(set, GFP_KERNEL)) == Some((None, EINVAL)));
        Ok(())
    }

    #[test]
    fn post_at_entries_and_inside() -> Result {
        // Those that are not at an entry are registered again, with a post handler.
        let inside = offset_inside(5).ok_or(ENOENT)?;
        let targets = [TWO[0], Target::symbol(c"kut_mix").offset(inside), TWO[1]];
        let set = KBox::pin_init(KprobeSet::new(&targets, Around(Seen::new())), GFP_KERNEL)?;
        kut_div(some());
        assert_eq!(set.handler().0.hits(), (1, 1));
        kut_mix(1, 2);
        assert_eq!(set.handler().0.hits(), (2, 2));
        kut_div_more(some());
        assert_eq!(set.handler().0.hits(), (3, 3));
        for index in 0..3 {
            let member = set.get(index).ok_or(ENOENT)?;
            assert_eq!(
                member.uses_ftrace(),
                index != 1 && cfg!(CONFIG_KPROBES_ON_FTRACE)
            );
            assert!(!member.is_optimized());
        }
        Ok(())
    }

    #[test]
    fn one_end_for_all() -> Result {
        let counter = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let set = KBox::pin_init(KprobeSet::new(&TWO, Shared(counter.clone())), GFP_KERNEL)?;
        kut_div(some());
        drop(set);
        kut_div(some());
        kut_div_more(some());
        assert_eq!(counter.load(Relaxed), 1001);
        Ok(())
    }

    #[test]
    fn one_grace_period_for_all() -> Result {
        let targets = [TWO[0]; 20];
        let set = KBox::pin_init(KprobeSet::new(&targets, Before(Seen::new())), GFP_KERNEL)?;
        let rets = KBox::pin_init(KretprobeSet::new(&targets, 0, Thirds::new()), GFP_KERNEL)?;
        let waits = before(Target::symbol(c"synchronize_rcu"))?;
        drop(set);
        drop(rets);
        // ftrace and others wait, too; but one wait for each of the 40 would be more.
        let (hits, _) = waits.handler().0.hits();
        assert!((2..20).contains(&hits));
        Ok(())
    }

    #[test]
    fn the_same_place_many_times() -> Result {
        let targets = [TWO[0]; 20];
        let set = KBox::pin_init(KprobeSet::new(&targets, Before(Seen::new())), GFP_KERNEL)?;
        kut_div(some());
        assert_eq!(set.handler().0.hits(), (20, 0));
        Ok(())
    }

    #[test]
    fn an_empty_set_is_refused() {
        let set = KBox::try_pin_init(KprobeSet::new(&[], Before(Seen::new())), GFP_KERNEL);
        assert!(refusal_of(set) == Some((None, EINVAL)));
    }

    #[test]
    fn drop_with_calls_in_flight() -> Result {
        let target = [Target::symbol(c"kut_sleep")];
        let counter = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let shared = Shared(counter.clone());
        let set = KBox::pin_init(KretprobeSet::new(&target, 8, shared), GFP_KERNEL)?;
        kut_start_sleepers(3);
        drop(set);
        // `unregistered` was called, with nothing missed; the handler is freed and not called.
        assert_eq!(counter.load(Relaxed), 1000);
        kut_stop_sleepers(3);
        assert_eq!(counter.load(Relaxed), 1000);
        // The next set does not see them either.
        let shared = Shared(counter.clone());
        let set = KBox::pin_init(KretprobeSet::new(&target, 8, shared), GFP_KERNEL)?;
        kut_start_sleepers(2);
        kut_stop_sleepers(2);
        assert_eq!(counter.load(Relaxed), 1002);
        drop(set);
        Ok(())
    }
}
