// SPDX-License-Identifier: GPL-2.0

//! `Kprobe`: registration, hits, enabling, optimisation, errors.

use crate::targets::*;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    time::{
        Instant,
        Monotonic, //
    }, //
};
use kprobes::{kprobe, Context, Kprobe, KprobeSet, Mechanism, Post, Target};

const DIV: Target<'static> = Target::symbol(c"kut_div");

/// Calls a probed function in its handler.
struct Recursing(Seen);

#[vtable]
impl kprobe::Handler for Recursing {
    fn pre(&self, _cx: &Context<'_>) {
        Seen::add(&self.0.pre);
        self.0.value.store(u64::from(kut_recursed(some())), Relaxed);
    }

    fn post(&self, _cx: &Context<'_, Post>) {
        Seen::add(&self.0.post);
        kut_recursed(some());
    }
}

/// Records when it is unregistered and dropped.
struct Told {
    hits: Arc<Atomic<u64>>,
    unregistered: Arc<Atomic<u64>>,
    dropped: Arc<Atomic<u64>>,
}

#[vtable]
impl kprobe::Handler for Told {
    fn pre(&self, _cx: &Context<'_>) {
        self.hits.fetch_add(1, Relaxed);
    }

    fn unregistered(&self, missed: usize) {
        // There must be no hits from here on.
        kut_div(some());
        self.unregistered.fetch_add(1 + missed as u64, Relaxed);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // After `unregistered`.
        self.dropped
            .fetch_add(10 * self.unregistered.load(Relaxed), Relaxed);
    }
}

#[kunit_tests(kprobes_kprobe)]
mod tests {
    use super::*;

    #[test]
    fn kprobe() -> Result {
        let probe = around(DIV)?;
        assert_eq!(kut_div(some()), some() / 3);
        assert_eq!(probe.handler().0.hits(), (1, 1));
        assert_eq!(probe.handler().0.last(), u64::from(some()));
        assert!(!probe.handler().0.preemptible.load(Relaxed));
        drop(probe);
        assert_eq!(kut_div(some()), some() / 3);
        Ok(())
    }

    #[test]
    fn kprobe_missed() -> Result {
        let probe = KBox::pin_init(
            Kprobe::new(Target::symbol(c"kut_recursed"), Recursing(Seen::new())),
            GFP_KERNEL,
        )?;
        kut_recursed(some());
        assert_eq!(probe.missed(), 2);
        assert_eq!(probe.handler().0.hits(), (1, 1));
        assert_eq!(probe.handler().0.last(), u64::from(some() / 3));
        Ok(())
    }

    #[test]
    fn recursion_of_others_is_missed() -> Result {
        let outer = KBox::pin_init(Kprobe::new(DIV, Recursing(Seen::new())), GFP_KERNEL)?;
        let inner = before(Target::symbol(c"kut_recursed"))?;
        for _ in 0..5 {
            kut_div(some());
        }
        assert_eq!(outer.handler().0.hits(), (5, 5));
        assert_eq!(inner.missed(), 10);
        assert_eq!(inner.handler().0.hits(), (0, 0));
        // Outside of handlers, it has hits.
        kut_recursed(some());
        assert_eq!(inner.handler().0.hits(), (1, 0));
        Ok(())
    }

    #[test]
    fn by_address_and_by_module() -> Result {
        let one = before(DIV)?;
        let two = before(Target::address(one.address().as_usize()))?;
        let three = before(Target::symbol(c"kprobes_kunit:kut_div"))?;
        kut_div(some());
        for probe in [&one, &two, &three] {
            assert_eq!(probe.handler().0.hits(), (1, 0));
            assert!(probe.address() == one.address());
        }
        let place = kernel::str::CString::try_from_fmt(fmt!("{}", one.location()))?;
        assert!(*place == *c"kut_div+0x0 [kprobes_kunit]");
        Ok(())
    }

    #[test]
    fn enable_and_disable() -> Result {
        let probe = before(DIV)?;
        assert!(probe.is_enabled());
        kut_div(some());
        probe.disable()?;
        assert!(!probe.is_enabled());
        kut_div(some());
        assert_eq!(probe.handler().0.hits(), (1, 0));
        // Twice is once.
        probe.disable()?;
        probe.enable()?;
        assert!(probe.is_enabled());
        kut_div(some());
        assert_eq!(probe.handler().0.hits(), (2, 0));
        probe.disable()?;
        Ok(())
    }

    #[test]
    fn a_disabled_target() -> Result {
        let probe = before(DIV.disabled())?;
        assert!(!probe.is_enabled());
        kut_div(some());
        assert_eq!(probe.handler().0.hits(), (0, 0));
        probe.enable()?;
        kut_div(some());
        assert_eq!(probe.handler().0.hits(), (1, 0));
        // One of a set.
        let targets = [DIV.disabled(), DIV];
        let set = KBox::pin_init(KprobeSet::new(&targets, Before(Seen::new())), GFP_KERNEL)?;
        let enabled = |n| set.get(n).is_some_and(|probe| probe.is_enabled());
        assert_eq!((enabled(0), enabled(1)), (false, true));
        Ok(())
    }

    #[test]
    fn disabling_one_of_two() -> Result {
        let one = before(DIV)?;
        let two = before(DIV)?;
        one.disable()?;
        kut_div(some());
        assert_eq!(one.handler().0.hits(), (0, 0));
        assert_eq!(two.handler().0.hits(), (1, 0));
        Ok(())
    }

    #[test]
    fn entry_is_by_ftrace() -> Result {
        let probe = before(DIV)?;
        assert!(probe.uses_ftrace() == cfg!(CONFIG_KPROBES_ON_FTRACE));
        assert!(probe.is_optimized() == (probe.mechanism() == Mechanism::Jump));
        assert!(probe.uses_ftrace() != (probe.mechanism() != Mechanism::Ftrace));
        // The code itself: a call, and a no-op of five bytes once the probe is unregistered.
        #[cfg(CONFIG_X86_64)]
        {
            assert_eq!(opcode(&probe)?, 0xe8);
            probe.disable()?;
            assert_eq!(opcode(&probe)?, 0x0f);
        }
        Ok(())
    }

    #[test]
    fn inside_is_optimized_unless_there_is_post() -> Result {
        if !cfg!(CONFIG_OPTPROBES) {
            return skip(c"the kernel has no optimised kprobes on this architecture");
        }
        let offset = offset_inside(5).ok_or(ENOENT)?;
        let inside = Target::symbol(c"kut_mix").offset(offset);
        let result = kut_mix(1, 2);

        let probe = before(inside)?;
        assert!(probe.is_optimized());
        assert!(probe.mechanism() == Mechanism::Jump);
        assert_eq!(kut_mix(1, 2), result);
        assert_eq!(probe.handler().0.hits(), (1, 0));

        // A second probe with a post handler turns both into a breakpoint.
        let other = around(inside)?;
        assert!(probe.mechanism() == Mechanism::Breakpoint);
        assert!(other.mechanism() == Mechanism::Breakpoint);
        #[cfg(CONFIG_X86_64)]
        assert_eq!(opcode(&probe)?, 0xcc);
        assert_eq!(kut_mix(1, 2), result);
        assert_eq!(probe.handler().0.hits(), (2, 0));
        assert_eq!(other.handler().0.hits(), (1, 1));
        drop(other);
        assert_eq!(kut_mix(1, 2), result);
        assert_eq!(probe.handler().0.hits(), (3, 0));
        drop(probe);
        assert_eq!(kut_mix(1, 2), result);
        Ok(())
    }

    #[test]
    fn optimized_probe_is_hit_when_the_jump_is_there() -> Result {
        if !cfg!(CONFIG_OPTPROBES) {
            return skip(c"the kernel has no optimised kprobes on this architecture");
        }
        let offset = offset_inside(5).ok_or(ENOENT)?;
        let probe = before(Target::symbol(c"kut_mix").offset(offset))?;
        let result = kut_mix(3, 4);
        // The kernel delays writing the jump.
        for _ in 0..50 {
            kernel::time::delay::fsleep(kernel::time::Delta::from_millis(5));
            assert_eq!(kut_mix(3, 4), result);
        }
        #[cfg(CONFIG_X86_64)]
        assert_eq!(opcode(&probe)?, 0xe9);
        assert_eq!(probe.handler().0.hits(), (51, 0));
        assert_eq!(probe.missed(), 0);
        Ok(())
    }

    #[test]
    fn mechanism_while_the_kernel_links_the_place() -> Result {
        let offset = offset_inside(5).ok_or(ENOENT)?;
        let probe = around(Target::symbol(c"kut_mix").offset(offset))?;
        assert_eq!(kut_join(probe.address().as_usize()), 0);
        kut_half_link(4_000);
        let start = Instant::<Monotonic>::now();
        let mechanism = probe.mechanism();
        let took = start.elapsed();
        kut_whole_link();
        kut_leave();
        assert!(mechanism == Mechanism::Breakpoint);
        assert!(took.as_millis() < 2_000);
        Ok(())
    }

    #[test]
    fn a_disabled_probe_is_missed_with_its_neighbours() -> Result {
        let recursed = Target::symbol(c"kut_recursed");
        let (off, on) = (before(recursed)?, before(recursed)?);
        off.disable()?;
        let outer = KBox::pin_init(Kprobe::new(DIV, Recursing(Seen::new())), GFP_KERNEL)?;
        kut_div(some());
        // The kernel counts for the address, in pre and post, as documented.
        assert_eq!((on.missed(), off.missed()), (2, 2));
        kut_recursed(some());
        assert_eq!(on.handler().0.hits(), (1, 0));
        assert_eq!(off.handler().0.hits(), (0, 0));
        // Disabled and alone, it is not armed.
        drop(on);
        kut_div(some());
        assert_eq!(off.missed(), 2);
        drop(outer);
        Ok(())
    }

    #[test]
    fn post_alone() -> Result {
        struct After(Seen);
        #[vtable]
        impl kprobe::Handler for After {
            fn post(&self, _cx: &Context<'_, Post>) {
                Seen::add(&self.0.post);
            }
        }
        let probe = KBox::pin_init(Kprobe::new(DIV, After(Seen::new())), GFP_KERNEL)?;
        kut_div(some());
        assert_eq!(probe.handler().0.hits(), (0, 1));
        Ok(())
    }

    #[test]
    fn drop_unregisters_then_tells_then_drops_the_handler() -> Result {
        let (hits, unregistered, dropped) = (
            Arc::new(Atomic::new(0), GFP_KERNEL)?,
            Arc::new(Atomic::new(0), GFP_KERNEL)?,
            Arc::new(Atomic::new(0), GFP_KERNEL)?,
        );
        let told = Told {
            hits: hits.clone(),
            unregistered: unregistered.clone(),
            dropped: dropped.clone(),
        };
        let probe = KBox::pin_init(Kprobe::new(DIV, told), GFP_KERNEL)?;
        kut_div(some());
        drop(probe);
        kut_div(some());
        assert_eq!(hits.load(Relaxed), 1);
        assert_eq!(unregistered.load(Relaxed), 1);
        assert_eq!(dropped.load(Relaxed), 10);
        Ok(())
    }

    #[test]
    fn a_refused_probe_drops_its_handler_and_tells_nothing() -> Result {
        let (hits, unregistered, dropped) = (
            Arc::new(Atomic::new(0), GFP_KERNEL)?,
            Arc::new(Atomic::new(5), GFP_KERNEL)?,
            Arc::new(Atomic::new(0), GFP_KERNEL)?,
        );
        let told = Told {
            hits,
            unregistered: unregistered.clone(),
            dropped: dropped.clone(),
        };
        let target = Target::symbol(c"no_such_function");
        assert!(KBox::pin_init(Kprobe::new(target, told), GFP_KERNEL).is_err());
        assert_eq!(unregistered.load(Relaxed), 5);
        assert_eq!(dropped.load(Relaxed), 50);
        Ok(())
    }

    #[test]
    fn error_unknown_symbol() {
        assert!(error_of(before(Target::symbol(c"no_such_function"))) == Some(ENOENT));
        assert!(error_of(before(Target::symbol(c"no_such_module:kut_div"))) == Some(ENOENT));
    }

    #[test]
    fn error_nokprobe() {
        assert!(error_of(before(Target::symbol(c"get_kprobe"))) == Some(EINVAL));
    }

    #[test]
    fn error_no_text() {
        assert!(error_of(before(Target::symbol(c"jiffies"))) == Some(EINVAL));
        assert!(error_of(before(Target::address(16))) == Some(ENOENT));
        assert!(error_of(before(Target::address(0))) == Some(EINVAL));
    }

    #[test]
    fn error_within_an_instruction() -> Result {
        // Between two instruction boundaries, there is an offset that is not one. An instruction
        // may also have one byte, as `push %rbp` where there are frame pointers.
        let mut start = offset_inside(5).ok_or(ENOENT)?;
        loop {
            let next = offset_inside(start + 1).ok_or(ENOENT)?;
            if next > start + 1 {
                break;
            }
            start = next;
        }
        let within = Target::symbol(c"kut_mix").offset(start + 1);
        let error = error_of(before(within)).ok_or(ENOENT)?;
        // arm64 checks only the alignment. The kernel crate has no EILSEQ.
        let wanted = if cfg!(CONFIG_ARM64) {
            EINVAL.to_errno()
        } else {
            -84
        };
        assert_eq!(error.to_errno(), wanted);
        Ok(())
    }

    #[test]
    fn beside_a_live_patch() -> Result {
        let address = before(DIV)?.address().as_usize();
        // Something redirects the function, like a live patch. A C module could register a probe
        // with a post handler, but it would have no hits.
        assert_eq!(kut_hold(address), 0);
        let probe = around(DIV);
        kut_div(some());
        kut_let_go(address);
        assert_eq!(probe?.handler().0.hits(), (1, 1));
        // Afterwards, it works again.
        let probe = around(DIV)?;
        kut_div(some());
        assert_eq!(probe.handler().0.hits(), (1, 1));
        Ok(())
    }

    #[test]
    fn post_joins_and_either_leaves_first() -> Result {
        // In C, this order makes the kernel disarm the probe with the wrong ftrace_ops: it warns,
        // and keeps a freed probe on its list.
        for first_leaves_first in [false, true] {
            let first = before(DIV)?;
            let second = around(DIV)?;
            kut_div(some());
            assert_eq!(first.handler().0.hits(), (1, 0));
            assert_eq!(second.handler().0.hits(), (1, 1));
            if first_leaves_first {
                drop(first);
                kut_div(some());
                assert_eq!(second.handler().0.hits(), (2, 2));
            } else {
                drop(second);
                kut_div(some());
                assert_eq!(first.handler().0.hits(), (2, 0));
            }
        }
        // Probes that are registered later have hits.
        let probe = around(DIV)?;
        let other = around(Target::symbol(c"kut_div_more"))?;
        kut_div(some());
        assert_eq!(probe.handler().0.hits(), (1, 1));
        assert_eq!(other.handler().0.hits(), (0, 0));
        Ok(())
    }

    #[test]
    fn post_sees_the_next_instruction() -> Result {
        struct Ips(Atomic<u64>, Atomic<u64>);

        #[vtable]
        impl kprobe::Handler for Ips {
            fn pre(&self, cx: &Context<'_>) {
                self.0.store(cx.ip() as u64, Relaxed);
            }
            fn post(&self, cx: &Context<'_, Post>) {
                self.1.store(cx.ip() as u64, Relaxed);
            }
        }

        let ips = || Ips(Atomic::new(0), Atomic::new(0));
        let first = KBox::pin_init(Kprobe::new(DIV, ips()), GFP_KERNEL)?;
        let second = KBox::pin_init(Kprobe::new(DIV, ips()), GFP_KERNEL)?;
        kut_div(some());
        for probe in [&first, &second] {
            let address = probe.address().as_usize() as u64;
            // On x86, after a breakpoint of one byte, and after the ftrace call of five; on arm64,
            // at the breakpoint, and at the next instruction.
            let (before, after) = if cfg!(CONFIG_ARM64) { (0, 4) } else { (1, 5) };
            assert_eq!(probe.handler().0.load(Relaxed), address + before);
            assert_eq!(probe.handler().1.load(Relaxed), address + after);
        }
        Ok(())
    }
}
