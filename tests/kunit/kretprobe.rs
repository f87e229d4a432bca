// SPDX-License-Identifier: GPL-2.0

//! `Kretprobe` and `Timed`: calls in flight, durations, refusals.

use crate::targets::*;

const SLEEP: Target<'static> = Target::symbol(c"kut_sleep");

fn returns(target: Target<'_>, max_active: u16) -> Result<Pin<KBox<Kretprobe<Before>>>> {
    let options = kretprobe::Options::default().max_active(max_active);
    let handler = Before(Seen::new());
    boxed(Kretprobe::with_options(target, options, handler))
}

struct Took(Count, Atomic<u64>);

#[vtable]
impl timed::Handler for Took {
    type Data = i32;

    fn entry(&self, cx: &timed::Context<'_>) -> Option<i32> {
        let value = cx.arg0();
        (value == 7).then_some(value)
    }

    fn ret(&self, _cx: &timed::ReturnContext<'_>, entered_with: i32, ns: u64) {
        assert_eq!(entered_with, 7);
        self.0.add(1);
        self.1.store(ns, Relaxed);
    }
}

#[kunit_tests(kprobes_kretprobe)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_timed() -> Result {
        let probe = boxed(Timed::new(SLEEP, Took(Count::new(), Atomic::new(0))))?;
        kut_start_sleepers(1);
        kernel::time::delay::fsleep(kernel::time::Delta::from_millis(20));
        kut_stop_sleepers(1);
        let Took(hits, ns) = probe.handler();
        assert_eq!(hits.get(), 1);
        assert!((20_000_000..10_000_000_000).contains(&ns.load(Relaxed)));
        Ok(())
    }

    #[test]
    fn disable_lets_calls_in_flight_return() -> Result {
        let probe = returns(SLEEP, 8)?;
        kut_start_sleepers(3);
        probe.disable()?;
        kut_stop_sleepers(3);
        assert_eq!(probe.handler().0.hits(), (3, 0));
        // While the probe is disabled, calls are neither hits nor missed.
        kut_start_sleepers(2);
        kut_stop_sleepers(2);
        assert_eq!(probe.handler().0.hits(), (3, 0));
        assert_eq!(probe.missed(), 0);
        Ok(())
    }

    #[test]
    fn a_missed_count_beyond_int_max_is_read() -> Result {
        let probe = returns(DIV, 0)?;
        let missed = |value| {
            assert_eq!(kut_set_dry(at(&probe), value), 0);
            probe.missed()
        };
        let (most, last, none) = (missed(i32::MIN), missed(-1), missed(0));
        assert_eq!(none, 0);
        assert_eq!(most, 1 << 31);
        assert_eq!(last, u64::from(u32::MAX));
        Ok(())
    }

    #[test]
    fn targets_that_are_no_function_are_refused() -> Result {
        let vsnprintf = Target::symbol(c"vsnprintf");
        for target in [
            Target::symbol(c"get_kprobe"),
            Target::address(0),
            DIV.offset(8),
            // ftrace does not know these: a C function, assembly, and Rust.
            vsnprintf,
            ASSEMBLY,
            Target::address(<Before as kretprobe::Handler>::ret as *const () as usize),
        ] {
            assert!(error_of(returns(target, 0)) == Some(EINVAL));
            let targets = [DIV, target];
            let set = KretprobeSet::new(&targets, Before(Seen::new()));
            assert!(error_of(boxed(set)) == Some(EINVAL));
        }
        // SAFETY: `vsnprintf()` is a C function, built without ftrace.
        let options = unsafe { kretprobe::Options::default().any_function() };
        let handler = Before(Seen::new());
        let probe = boxed(Kretprobe::with_options(vsnprintf, options, handler))?;
        let before = probe.handler().0.hits();
        // The kernel formats the symbol's name.
        let _ = kernel::str::CString::try_from_fmt(fmt!("{}", probe.location()))?;
        assert!(probe.handler().0.hits() > before);
        Ok(())
    }
}
