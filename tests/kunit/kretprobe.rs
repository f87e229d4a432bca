// SPDX-License-Identifier: GPL-2.0

//! `Kretprobe` and `Timed`: returns, data, calls in flight, stack traces.

use crate::targets::*;

const SLEEP: Target<'static> = Target::symbol(c"kut_sleep");

/// Keeps the argument at the entry, in the largest data allowed, and compares it at the return.
struct Thirds {
    seen: Seen,
    wrong: Atomic<u64>,
}

#[vtable]
impl kretprobe::Handler for Thirds {
    type Data = (u32, [u8; 4092]);

    fn entry(&self, cx: &kretprobe::Context<'_>) -> Option<Self::Data> {
        Seen::add(&self.seen.pre);
        self.seen.note_preemptible();
        // Zero is not followed.
        match cx.arg0() {
            0 => None,
            value => Some((value, [value as u8; 4092])),
        }
    }

    fn ret(&self, cx: &kretprobe::ReturnContext<'_>, (value, bytes): Self::Data) {
        Seen::add(&self.seen.post);
        self.seen.note_preemptible();
        let more = cx.index() as u32;
        if cx.ret::<u32>() != value / 3 + more || bytes.iter().any(|&byte| byte != value as u8) {
            self.wrong.fetch_add(1, Relaxed);
        }
        self.seen.value.store(u64::from(value), Relaxed);
    }
}

/// Handles only the return.
struct Returns(Seen);

#[vtable]
impl kretprobe::Handler for Returns {
    type Data = ();

    fn ret(&self, cx: &kretprobe::ReturnContext<'_>, (): ()) {
        Seen::add(&self.0.post);
        self.0.value.store(cx.ret(), Relaxed);
    }
}

fn options(max_active: u16) -> kretprobe::Options {
    kretprobe::Options::default().max_active(max_active)
}

fn returns(target: Target<'_>, max_active: u16) -> Result<Pin<KBox<Kretprobe<Returns>>>> {
    boxed(Kretprobe::with_options(
        target,
        options(max_active),
        Returns(Seen::new()),
    ))
}

/// Looks for the function's return address in a stack trace from its handler: whether it is there,
/// the address, and the one after it.
fn traces(name: &CStr) -> Result<impl Fn() -> [usize; 3]> {
    let trace = |seen: &[Atomic<usize>; 3], cx: &kretprobe::ReturnContext<'_>| {
        let address: usize = cx.ret();
        let mut next = 0;
        seen[0].store(kut_stack_find(address, &mut next) as usize, Relaxed);
        seen[1].store(address, Relaxed);
        seen[2].store(next, Relaxed);
    };
    let trace = On([const { Atomic::new(0) }; 3], trace);
    let probe = boxed(Kretprobe::new(Target::symbol(name), trace))?;
    Ok(move || probe.handler().0.each_ref().map(|seen| seen.load(Relaxed)))
}

/// Stores the duration.
struct Took(Seen);

impl timed::Handler for Took {
    fn entry(&self, cx: &timed::Context<'_>) -> bool {
        cx.arg0::<i32>() == 7
    }

    fn ret(&self, _cx: &timed::ReturnContext<'_>, ns: u64) {
        Seen::add(&self.0.post);
        self.0.value.store(ns, Relaxed);
    }
}

#[kunit_tests(kprobes_kretprobe)]
mod tests {
    use super::*;

    #[test]
    fn data_from_the_entry_to_the_return() -> Result {
        let handler = Thirds {
            seen: Seen::new(),
            wrong: Atomic::new(0),
        };
        let targets = [DIV, MORE];
        let set = boxed(KretprobeSet::new(&targets, handler))?;
        let handler = set.handler();
        kut_div(some());
        assert_eq!(handler.seen.last(), u64::from(some()));
        kut_div_more(9);
        assert_eq!(handler.seen.hits(), (2, 2));
        assert_eq!(handler.wrong.load(Relaxed), 0);
        assert!(!handler.seen.preemptible.load(Relaxed));
        // The entry ignores the return.
        kut_div(0);
        assert_eq!(handler.seen.hits(), (3, 2));
        assert_eq!(set.missed(), 0);
        Ok(())
    }

    #[test]
    fn stacktrace_on_nested_kretprobes() -> Result {
        // Stores the real return addresses.
        kut_stack_driver();
        let outer = traces(c"kut_stack_outer")?;
        kut_stack_driver();
        let [found, address, _] = outer();
        assert!(found != 0 && address != 0);
        let inner = traces(c"kut_stack_inner")?;
        kut_stack_driver();
        assert!(outer()[0] != 0 && inner()[0] != 0);
        // The inner return address is followed by the outer one, not by the trampoline.
        assert_eq!(inner()[2], outer()[1]);
        Ok(())
    }

    #[test]
    fn without_an_entry_handler() -> Result {
        let probe = returns(DIV, 0)?;
        kut_div(some());
        assert_eq!(probe.handler().0.last(), u64::from(some() / 3));
        // The kernel's default.
        assert!(probe.max_active() >= 10);
        Ok(())
    }

    #[test]
    fn a_dry_pool_is_missed() -> Result {
        let probe = returns(SLEEP, 2)?;
        assert_eq!(probe.max_active(), 2);
        kut_start_sleepers(5);
        assert_eq!(probe.missed(), 3);
        assert_eq!(probe.handler().0.hits(), (0, 0));
        kut_stop_sleepers(5);
        assert_eq!(probe.handler().0.hits(), (0, 2));
        assert_eq!(probe.missed(), 3);
        Ok(())
    }

    #[test]
    fn drop_with_calls_in_flight() -> Result {
        // This outlives the handler.
        let returned = Arc::new(Atomic::new(0u64), GFP_KERNEL)?;
        let set = || {
            let count = |seen: &Arc<Atomic<u64>>, _: &kretprobe::ReturnContext<'_>| {
                seen.fetch_add(1, Relaxed);
            };
            let count = On(returned.clone(), count);
            boxed(KretprobeSet::with_options(&[SLEEP], options(8), count))
        };
        let probe = returns(SLEEP, 8)?;
        let first = set()?;
        assert_eq!(first.get(0).map(|probe| probe.max_active()), Some(8));
        kut_start_sleepers(4);
        drop(probe);
        drop(first);
        // They return through a trampoline, whose probe is unregistered.
        kut_stop_sleepers(4);
        assert_eq!(returned.load(Relaxed), 0);
        // New probes do not see them.
        let probe = returns(SLEEP, 8)?;
        let second = set()?;
        kut_start_sleepers(1);
        kut_stop_sleepers(1);
        assert_eq!(probe.handler().0.hits(), (0, 1));
        assert_eq!(returned.load(Relaxed), 1);
        assert_eq!(second.missed(), 0);
        Ok(())
    }

    #[test]
    fn timed() -> Result {
        let probe = boxed(Timed::new(SLEEP, Took(Seen::new())))?;
        kut_start_sleepers(1);
        kernel::time::delay::fsleep(kernel::time::Delta::from_millis(20));
        kut_stop_sleepers(1);
        let took = &probe.handler().0;
        assert_eq!(took.hits(), (0, 1));
        assert!(took.last() >= 20_000_000);
        assert!(took.last() < 10_000_000_000);
        Ok(())
    }

    #[test]
    fn disable_lets_calls_in_flight_return() -> Result {
        let probe = returns(SLEEP, 8)?;
        kut_start_sleepers(3);
        probe.disable()?;
        kut_stop_sleepers(3);
        assert_eq!(probe.handler().0.hits(), (0, 3));
        // Calls from here on are neither followed nor missed.
        kut_start_sleepers(2);
        kut_stop_sleepers(2);
        assert_eq!(probe.handler().0.hits(), (0, 3));
        assert_eq!(probe.missed(), 0);
        Ok(())
    }

    #[test]
    fn missed_after_more_than_an_int_holds() -> Result {
        let probe = returns(DIV, 0)?;
        assert_eq!(kut_join(at(&probe)), 0);
        kut_set_dry(i32::MIN);
        let most = probe.missed();
        kut_set_dry(-1);
        let last = probe.missed();
        kut_set_dry(0);
        kut_leave();
        assert_eq!(most, 1 << 31);
        assert_eq!(last, u64::from(u32::MAX));
        Ok(())
    }

    #[test]
    fn not_a_function() -> Result {
        // The last two can be probed, and a C module could register a kretprobe there.
        let vsnprintf = Target::symbol(c"vsnprintf");
        for target in [
            Target::symbol(c"get_kprobe"),
            DIV.offset(8),
            vsnprintf,
            #[cfg(CONFIG_X86_64)]
            Target::symbol(c"ret_from_fork_asm"),
        ] {
            assert!(error_of(returns(target, 0)) == Some(EINVAL));
            let targets = [DIV, target];
            let set = KretprobeSet::new(&targets, Returns(Seen::new()));
            assert!(error_of(boxed(set)) == Some(EINVAL));
        }
        // SAFETY: `vsnprintf()` is a C function, built without ftrace.
        let options = unsafe { kretprobe::Options::default().any_function() };
        let probe = boxed(Kretprobe::with_options(
            vsnprintf,
            options,
            Returns(Seen::new()),
        ))?;
        let before = probe.handler().0.hits();
        // This makes the kernel format the symbol's name.
        let _ = kernel::str::CString::try_from_fmt(fmt!("{}", probe.location()))?;
        assert!(probe.handler().0.hits().1 > before.1);
        Ok(())
    }

    #[test]
    fn beside_a_live_patch() -> Result {
        // A kretprobe does not claim FTRACE_OPS_FL_IPMODIFY, so it works with something that does,
        // in either order.
        let address = at(&*returns(DIV, 0)?);
        assert_eq!(kut_hold(address), 0);
        let probe = returns(DIV, 0);
        kut_div(some());
        kut_let_go(address);
        assert_eq!(probe?.handler().0.hits(), (0, 1));
        Ok(())
    }
}
