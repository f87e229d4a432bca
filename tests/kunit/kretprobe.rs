// SPDX-License-Identifier: GPL-2.0

//! `Kretprobe` and `Timed`: returns, data, calls in flight, stack traces.

use crate::targets::*;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};
use kprobes::{kretprobe, timed, Context, Kretprobe, KretprobeSet, Return, Target, Timed};

const DIV: Target<'static> = Target::symbol(c"kut_div");

/// Keeps the argument at the entry and compares it at the return.
pub(crate) struct Thirds {
    pub(crate) seen: Seen,
    pub(crate) wrong: Atomic<u64>,
}

impl Thirds {
    pub(crate) const fn new() -> Self {
        Self {
            seen: Seen::new(),
            wrong: Atomic::new(0),
        }
    }
}

#[vtable]
impl kretprobe::Handler for Thirds {
    type Data = (u32, u64);

    fn entry(&self, cx: &Context<'_>) -> Option<(u32, u64)> {
        Seen::add(&self.seen.pre);
        if kut_preemptible() {
            self.seen.preemptible.store(true, Relaxed);
        }
        // Zero is not followed.
        match cx.arg(0) {
            0 => None,
            value => Some((value, 0x0123_4567_89ab_cdef)),
        }
    }

    fn ret(&self, cx: &Context<'_, Return>, (value, check): (u32, u64)) {
        Seen::add(&self.seen.post);
        self.seen.index.store(cx.index() as u64, Relaxed);
        if kut_preemptible() {
            self.seen.preemptible.store(true, Relaxed);
        }
        let more = cx.index() as u32;
        if cx.ret::<u32>() != value / 3 + more || check != 0x0123_4567_89ab_cdef {
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

    fn ret(&self, cx: &Context<'_, Return>, (): ()) {
        Seen::add(&self.0.post);
        self.0.value.store(cx.ret(), Relaxed);
    }
}

fn returns(target: Target<'_>, max_active: u16) -> Result<Pin<KBox<Kretprobe<Returns>>>> {
    KBox::pin_init(
        Kretprobe::with_max_active(target, max_active, Returns(Seen::new())),
        GFP_KERNEL,
    )
}

/// Looks for the function's return address in a stack trace from its handler.
struct Trace {
    found: Atomic<u64>,
    returned: Atomic<u64>,
    next: Atomic<u64>,
}

impl Trace {
    const fn new() -> Self {
        Self {
            found: Atomic::new(0),
            returned: Atomic::new(0),
            next: Atomic::new(0),
        }
    }
}

#[vtable]
impl kretprobe::Handler for Trace {
    type Data = ();

    fn ret(&self, cx: &Context<'_, Return>, (): ()) {
        let address: usize = cx.ret();
        let mut next = 0;
        self.found
            .store(kut_stack_find(address, &mut next) as u64, Relaxed);
        self.returned.store(address as u64, Relaxed);
        self.next.store(next as u64, Relaxed);
    }
}

/// Stores the duration.
struct Took(Seen);

#[vtable]
impl timed::Handler for Took {
    fn wanted(&self, cx: &Context<'_>) -> bool {
        cx.arg::<i32>(0) == 7
    }

    fn ret(&self, _cx: &Context<'_, Return>, ns: u64) {
        Seen::add(&self.0.post);
        self.0.value.store(ns, Relaxed);
    }
}

/// The largest data allowed.
struct Large(Seen);

#[vtable]
impl kretprobe::Handler for Large {
    type Data = [u8; 4096];

    fn entry(&self, cx: &Context<'_>) -> Option<[u8; 4096]> {
        Some([cx.arg(0); 4096])
    }

    fn ret(&self, _cx: &Context<'_, Return>, data: [u8; 4096]) {
        self.0
            .value
            .store(data.iter().map(|&b| u64::from(b)).sum::<u64>(), Relaxed);
    }
}

#[kunit_tests(kprobes_kretprobe)]
mod tests {
    use super::*;

    #[test]
    fn kretprobe() -> Result {
        let probe = KBox::pin_init(Kretprobe::new(DIV, Thirds::new()), GFP_KERNEL)?;
        kut_div(some());
        let handler = probe.handler();
        assert_eq!(handler.seen.hits(), (1, 1));
        assert_eq!(handler.wrong.load(Relaxed), 0);
        assert_eq!(handler.seen.last(), u64::from(some()));
        assert!(!handler.seen.preemptible.load(Relaxed));
        Ok(())
    }

    #[test]
    fn stacktrace_on_kretprobe() -> Result {
        // Stores the real return addresses.
        kut_stack_driver();
        let outer = KBox::pin_init(
            Kretprobe::new(Target::symbol(c"kut_stack_outer"), Trace::new()),
            GFP_KERNEL,
        )?;
        kut_stack_driver();
        let trace = outer.handler();
        assert!(trace.returned.load(Relaxed) != 0);
        assert!(trace.found.load(Relaxed) != 0);
        Ok(())
    }

    #[test]
    fn stacktrace_on_nested_kretprobe() -> Result {
        kut_stack_driver();
        let outer = KBox::pin_init(
            Kretprobe::new(Target::symbol(c"kut_stack_outer"), Trace::new()),
            GFP_KERNEL,
        )?;
        let inner = KBox::pin_init(
            Kretprobe::new(Target::symbol(c"kut_stack_inner"), Trace::new()),
            GFP_KERNEL,
        )?;
        kut_stack_driver();
        assert!(outer.handler().found.load(Relaxed) != 0);
        assert!(inner.handler().found.load(Relaxed) != 0);
        // The inner return address is followed by the outer one, not by the trampoline.
        assert_eq!(
            inner.handler().next.load(Relaxed),
            outer.handler().returned.load(Relaxed)
        );
        Ok(())
    }

    #[test]
    fn entry_may_skip_the_return() -> Result {
        let probe = KBox::pin_init(Kretprobe::new(DIV, Thirds::new()), GFP_KERNEL)?;
        kut_div(0);
        kut_div(9);
        assert_eq!(probe.handler().seen.hits(), (2, 1));
        assert_eq!(probe.missed(), 0);
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
    fn data_of_4096_bytes() -> Result {
        let probe = KBox::pin_init(Kretprobe::new(DIV, Large(Seen::new())), GFP_KERNEL)?;
        kut_div(3);
        assert_eq!(probe.handler().0.last(), 3 * 4096);
        Ok(())
    }

    #[test]
    fn a_dry_pool_is_missed() -> Result {
        let probe = returns(Target::symbol(c"kut_sleep"), 2)?;
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
        let probe = returns(Target::symbol(c"kut_sleep"), 8)?;
        kut_start_sleepers(4);
        drop(probe);
        // They return through a trampoline, whose probe is unregistered.
        kut_stop_sleepers(4);
        // A new probe does not see them.
        let probe = returns(Target::symbol(c"kut_sleep"), 8)?;
        kut_start_sleepers(1);
        kut_stop_sleepers(1);
        assert_eq!(probe.handler().0.hits(), (0, 1));
        Ok(())
    }

    #[test]
    fn timed() -> Result {
        let probe = KBox::pin_init(
            Kretprobe::new(Target::symbol(c"kut_sleep"), Timed::new(Took(Seen::new()))),
            GFP_KERNEL,
        )?;
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
    fn enable_and_disable() -> Result {
        let probe = returns(DIV, 0)?;
        probe.disable()?;
        kut_div(some());
        assert_eq!(probe.handler().0.hits(), (0, 0));
        probe.enable()?;
        kut_div(some());
        assert_eq!(probe.handler().0.hits(), (0, 1));
        Ok(())
    }

    #[test]
    fn disable_lets_calls_in_flight_return() -> Result {
        let probe = returns(Target::symbol(c"kut_sleep"), 8)?;
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
        assert_eq!(kut_join(probe.address().as_usize()), 0);
        kut_set_dry(i32::MIN);
        let most = probe.missed();
        kut_set_dry(-1);
        let last = probe.missed();
        kut_set_dry(0);
        kut_leave();
        assert_eq!(most, 1 << 31);
        assert_eq!(last, u32::MAX as usize);
        Ok(())
    }

    #[test]
    fn errors() {
        assert!(error_of(returns(Target::symbol(c"no_such_function"), 0)) == Some(ENOENT));
        assert!(error_of(returns(Target::symbol(c"get_kprobe"), 0)) == Some(EINVAL));
        assert!(error_of(returns(DIV.offset(8), 0)) == Some(EINVAL));
    }

    #[test]
    fn not_a_function() -> Result {
        // Both can be probed, and a C module could register a kretprobe there.
        for name in [c"vsnprintf", c"ret_from_fork_asm"] {
            let target = Target::symbol(name);
            if name == c"ret_from_fork_asm" && cfg!(CONFIG_ARM64) {
                continue;
            }
            assert!(error_of(returns(target, 0)) == Some(EINVAL));
            let targets = [DIV, target];
            let set = KretprobeSet::new(&targets, 0, Returns(Seen::new()));
            assert!(error_of(KBox::pin_init(set, GFP_KERNEL)) == Some(EINVAL));
        }
        // SAFETY: `vsnprintf()` is a C function, built without ftrace.
        let probe = KBox::pin_init(
            unsafe {
                Kretprobe::new_unchecked(Target::symbol(c"vsnprintf"), 0, Returns(Seen::new()))
            },
            GFP_KERNEL,
        )?;
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
        let address = returns(DIV, 0)?.address().as_usize();
        assert_eq!(kut_hold(address), 0);
        let probe = returns(DIV, 0);
        kut_div(some());
        kut_let_go(address);
        assert_eq!(probe?.handler().0.hits(), (0, 1));
        Ok(())
    }
}
