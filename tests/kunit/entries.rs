// SPDX-License-Identifier: GPL-2.0

//! `Entry` and `EntrySet`: saved registers, patterns, other tracers.

use crate::targets::*;

fn entry(target: Target<'_>) -> Result<Pin<KBox<Entry<Before>>>> {
    boxed(Entry::new(target, Before(Seen::new())))
}

pub(crate) fn first() -> Result {
    entry(DIV).map(drop)
}

fn matching(pattern: &CStr, options: entry::Options) -> Result<Pin<KBox<EntrySet<Before>>>> {
    let handler = Before(Seen::new());
    boxed(EntrySet::matching_with_options(pattern, options, handler))
}

#[kunit_tests(kprobes_entries)]
mod tests {
    use super::*;

    #[test]
    fn a_context_has_arguments_caller_and_stack_pointer() -> Result {
        let look = |seen: &[Atomic<usize>; 3], cx: &entry::Context<'_>| {
            let all: (u8, i8, u16, i16, u32, i32) = cx.args();
            let right = all == (200, -100, 60_000, -30_000, 4_000_000_000, -2)
                && cx.arg4::<u32>() == 4_000_000_000;
            seen[0].store(right.into(), Relaxed);
            seen[1].store(cx.caller().as_usize(), Relaxed);
            seen[2].store(cx.sp(), Relaxed);
        };
        let look = On([const { Atomic::new(0) }; 3], look);
        let probe = boxed(Entry::new(Target::symbol(c"kut_integers"), look))?;
        let local = 0_usize;
        let caller = kut_integers(200, -100, 60_000, -30_000, 4_000_000_000, -2);
        let [right, seen, sp] = probe.handler().0.each_ref().map(|seen| seen.load(Relaxed));
        assert_eq!(right, 1);
        assert_eq!(seen, caller);
        let here = &raw const local as usize;
        assert!(sp <= here && here - sp < 4096);
        Ok(())
    }

    #[test]
    fn places_that_are_no_ftrace_entry_are_refused() {
        let not_probed = Target::symbol(c"get_kprobe");
        for target in [DIV.offset(1), DIV.offset(8), ASSEMBLY, not_probed] {
            assert!(error_of(entry(target)) == Some(EINVAL));
        }
        assert!(error_of(entry(Target::address(0))).is_some());
    }

    #[test]
    fn an_interrupt_of_a_handler_is_hit() -> Result {
        let interrupted = |hits: &[Atomic<u64>; 4], _: &entry::Context<'_>| {
            let level = kut_level();
            hits[level as usize].fetch_add(1, Relaxed);
            kut_recursed(some());
            if level == 0 {
                kut_interrupt();
            }
        };
        let interrupted = On([const { Atomic::new(0) }; 4], interrupted);
        let probe = boxed(Entry::new(RECURSED, interrupted))?;
        kut_recursed(some());
        let hits = probe.handler().0.each_ref().map(|hits| hits.load(Relaxed));
        // Task, softirq and interrupt have one hit each, and miss the call in it.
        assert_eq!(hits[..3], [1, 1, 1]);
        assert_eq!(probe.missed(), 3);
        Ok(())
    }

    #[test]
    fn patterns_select_functions() -> Result {
        let set = matching(c"kut_div*", entry::Options::default())?;
        assert_eq!(set.len(), 2);
        kut_div(some());
        kut_div_more(some());
        kut_mix(1, 2);
        assert_eq!(set.handler().0.hits().0, 2);
        let pattern = c"kut_mix, kut_d?v\tkut_[m-r]ix,";
        let list = matching(pattern, entry::Options::default().disabled())?;
        assert_eq!(list.len(), 2);
        kut_div(some());
        assert_eq!(list.handler().0.hits().0, 0);
        list.enable()?;
        kut_div(some());
        kut_mix(1, 2);
        assert_eq!(list.handler().0.hits().0, 2);
        assert_eq!(set.handler().0.hits().0, 4);
        let index = list.handler().0.index.load(Relaxed);
        let mix = list.get(index).ok_or(ENOENT)?;
        drop(set);
        mix.disable()?;
        kut_mix(1, 2);
        assert_eq!(list.handler().0.hits().0, 2);
        Ok(())
    }

    #[test]
    fn invalid_patterns_are_refused() {
        let refused = |pattern| error_of(matching(pattern, entry::Options::default()));
        assert!(refused(c"") == Some(EINVAL));
        assert!(refused(c" , ") == Some(EINVAL));
        assert!(refused(c"kut_div no_such_*") == Some(ENOENT));
        assert!(refused(c"5") == Some(EINVAL));
        assert!(refused(c"kut_div,!kut_div") == Some(EINVAL));
        assert!(refused(c"kut_div:traceoff") == Some(EINVAL));
        // ftrace does not know this function.
        assert!(refused(c"vsnprintf") == Some(ENOENT));
    }

    #[test]
    fn an_entry_probe_by_address_is_hit_beside_a_kprobe() -> Result {
        let kprobe = before(DIV)?;
        let probe = entry(Target::address(at(&kprobe)))?;
        assert_eq!(kut_div(30), 10);
        assert_eq!(kprobe.handler().0.hits().0, 1);
        assert_eq!(probe.handler().0.hits().0, 1);
        drop(kprobe);
        kut_div(some());
        assert_eq!(probe.handler().0.hits().0, 2);
        Ok(())
    }

    #[test]
    fn an_exclusive_set_refuses_functions_with_a_kprobe() -> Result {
        let options = entry::Options::default().exclusive();
        let kprobe = before(DIV)?;
        // Without KPROBES_ON_FTRACE, the kprobe is not at ftrace's call.
        let refused = (kprobe.mechanism() == Mechanism::Ftrace).then_some(EEXIST);
        let partial = matching(c"kut_div*", options.partial())?;
        let refused_of_the_set = partial.refused().map(|refusal| refusal.error);
        assert!(refused_of_the_set.eq(refused));
        assert!(error_of(matching(c"kut_div*", options)) == refused);
        assert_eq!(partial.len(), 2 - usize::from(refused.is_some()));
        kut_div_more(some());
        assert_eq!(partial.handler().0.hits().0, 1);
        Ok(())
    }
}
