// SPDX-License-Identifier: GPL-2.0

//! `Kprobe`: registration, hits, enabling, optimization, errors.

use crate::targets::*;
use kernel::str::CString;

struct Recursing;

#[vtable]
impl kprobe::Handler for Recursing {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        kut_recursed(some());
    }

    fn post(&self, _cx: &kprobe::PostContext<'_>) {
        kut_recursed(some());
    }
}

fn refused(target: Target<'_>, error: Error) {
    assert!(error_of(before(target)) == Some(error));
    assert!(target.check() == Err(error));
}

#[kunit_tests(kprobes_kprobe)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_given_by_address_or_module() -> Result {
        let one = before(DIV)?;
        let two = before(Target::address(at(&one)))?;
        let three = before(Target::symbol(c"kprobes_kunit:kut_div"))?;
        kut_div(some());
        for probe in [&one, &two, &three] {
            assert_eq!(probe.handler().0.hits(), (1, 0));
            assert!(probe.address() == one.address());
        }
        let place = CString::try_from_fmt(fmt!("{}", one.location()))?;
        assert!(*place == *c"kut_div+0x0 [kprobes_kunit]");
        Ok(())
    }

    #[test]
    fn a_disabled_probe_counts_misses_of_its_aggregate() -> Result {
        let (off, on) = (before(RECURSED)?, before(RECURSED)?);
        off.disable()?;
        let outer = boxed(Kprobe::new(DIV, Recursing))?;
        kut_div(some());
        // The kernel counts misses by address, in pre and post, as documented.
        assert_eq!((on.missed(), off.missed()), (2, 2));
        kut_recursed(some());
        assert_eq!(on.handler().0.hits(), (1, 0));
        assert_eq!(off.handler().0.hits(), (0, 0));
        // The last probe at the address is disabled, so the address is not armed.
        drop(on);
        kut_div(some());
        assert_eq!(off.missed(), 2);
        drop(outer);
        Ok(())
    }

    #[test]
    fn a_post_handler_prevents_the_optimized_jump() -> Result {
        if !cfg!(CONFIG_OPTPROBES) {
            return skip(c"the kernel has no optimised kprobes on this architecture");
        }
        let inside = Target::symbol(c"kut_mix").offset(offset_inside(5).ok_or(ENOENT)?);
        let result = kut_mix(1, 2);
        let probe = before(inside)?;
        assert!(probe.mechanism() == Mechanism::Jump);
        // The kernel writes the jump after a delay.
        for _ in 0..50 {
            assert_eq!(kut_mix(1, 2), result);
            kernel::time::delay::fsleep(kernel::time::Delta::from_millis(5));
        }
        #[cfg(CONFIG_X86_64)]
        assert_eq!(opcode(&probe)?, 0xe9);
        assert_eq!(kut_mix(1, 2), result);
        assert_eq!(probe.handler().0.hits(), (51, 0));

        // A second probe with a post handler makes both a breakpoint.
        let other = around(inside)?;
        assert!(probe.mechanism() == Mechanism::Breakpoint);
        assert!(other.mechanism() == Mechanism::Breakpoint);
        #[cfg(CONFIG_X86_64)]
        assert_eq!(opcode(&probe)?, 0xcc);
        assert_eq!(kut_mix(1, 2), result);
        assert_eq!(probe.handler().0.hits(), (52, 0));
        assert_eq!(other.handler().0.hits(), (1, 1));
        assert_eq!(probe.missed(), 0);
        Ok(())
    }

    #[test]
    fn post_handlers_run_at_entries_and_inside() -> Result {
        // Members inside a function are registered again, with a post handler, among refused
        // targets.
        let mix = Target::symbol(c"kut_mix").offset(offset_inside(5).ok_or(ENOENT)?);
        let targets = [NONE, mix, DIV, NONE, MORE, mix];
        let options = kprobe::Options::default().partial();
        let handler = Around(Seen::new());
        let set = boxed(KprobeSet::with_options(&targets, options, handler))?;
        assert!(set.iter().map(|(index, _)| index).eq([1, 2, 4, 5]));
        assert!(set.refused().map(|refusal| refusal.target).eq([0, 3]));
        let hits = || set.handler().0.hits();
        assert_eq!(kut_div(some()), some() / 3);
        assert_eq!(hits(), (1, 1));
        kut_mix(1, 2);
        assert_eq!(hits(), (3, 3));
        kut_div_more(some());
        assert_eq!(hits(), (4, 4));
        assert_eq!(set.handler().0.index.load(Relaxed), 4);
        assert!(!set.handler().0.preemptible.load(Relaxed));
        for (index, probe) in set.iter() {
            let by_ftrace = cfg!(CONFIG_KPROBES_ON_FTRACE) && (index == 2 || index == 4);
            assert!((probe.mechanism() == Mechanism::Ftrace) == by_ftrace);
            assert!(probe.mechanism() != Mechanism::Jump);
        }
        Ok(())
    }

    #[test]
    fn ambiguous_names_are_recognized() -> Result {
        assert!(Target::symbol(c"init_once").is_unique() == Ok(false));
        assert!(DIV.is_unique() == Ok(true) && NONE.is_unique() == Err(ENOENT));
        assert!(Target::address(0).is_unique() == Ok(true));
        let unique = |_: &kprobe::Context<'_>| DIV.is_unique();
        let in_handler = crate::contexts::at(DIV, unique, || kut_div(some()))?;
        assert!(in_handler == Err(EDEADLK));
        Ok(())
    }

    #[test]
    fn two_kprobes_at_a_place_are_dropped_in_any_order() -> Result {
        struct After(Seen);
        #[vtable]
        impl kprobe::Handler for After {
            fn post(&self, _cx: &kprobe::PostContext<'_>) {
                self.0.post.add(1);
            }
        }
        // In C, this order makes the kernel disarm the probe by the wrong ftrace_ops: it warns, and
        // keeps a freed probe on its list.
        for drops_the_first in [false, true] {
            let first = before(DIV)?;
            let second = boxed(Kprobe::new(DIV, After(Seen::new())))?;
            kut_div(some());
            assert_eq!(first.handler().0.hits(), (1, 0));
            assert_eq!(second.handler().0.hits(), (0, 1));
            if drops_the_first {
                drop(first);
                kut_div(some());
                assert_eq!(second.handler().0.hits(), (0, 2));
            } else {
                drop(second);
                kut_div(some());
                assert_eq!(first.handler().0.hits(), (2, 0));
            }
        }
        // Probes that are registered later have hits.
        let probe = around(DIV)?;
        let other = around(MORE)?;
        kut_div(some());
        assert_eq!(probe.handler().0.hits(), (1, 1));
        assert_eq!(other.handler().0.hits(), (0, 0));
        Ok(())
    }

    #[test]
    fn invalid_places_are_refused() -> Result {
        static DATA: Atomic<u64> = Atomic::new(1);
        let (clone, on_stack) = (Target::symbol(c"kernel_clone"), 0u64);
        let on_heap = KBox::new([0u64; 64], GFP_KERNEL)?;
        let long = CString::try_from_fmt(fmt!("{:x>10000}", ""))?;
        let long_module = CString::try_from_fmt(fmt!("{:x>10000}:f", ""))?;
        for target in [
            Target::address(0),
            Target::address(0).offset(u32::MAX),
            Target::address(&raw const DATA as usize),
            Target::symbol(c"jiffies"),
            // NOKPROBE.
            Target::symbol(c"get_kprobe"),
        ] {
            refused(target, EINVAL);
        }
        for target in [
            // In user space, not canonical, and the last address.
            Target::address(0x40_0000),
            Target::address(0x8000_0000_0000_0000),
            Target::address(usize::MAX),
            Target::address(usize::MAX).offset(u32::MAX),
            Target::address(&raw const *on_heap as usize),
            Target::address(&raw const on_stack as usize),
            clone.offset(u32::MAX),
            Target::symbol(c""),
            Target::symbol(c":"),
            Target::symbol(c"kprobes_kunit:"),
            Target::symbol(c"no_such_module:kut_div"),
            Target::symbol(c":::kernel_clone"),
            Target::symbol(c" kernel_clone"),
            Target::symbol(c"%s%s%n%pS"),
            Target::symbol(c"\xff\xfe\n\x1b[2J"),
            Target::symbol(&long),
            Target::symbol(&long_module),
        ] {
            refused(target, ENOENT);
        }
        // Within ftrace's call, or the instruction at the entry. arm64 checks only the alignment.
        let within = if cfg!(CONFIG_ARM64) { -22 } else { -84 };
        refused(clone.offset(1), Error::from_errno(within));
        assert!(DIV.check() == Ok(()));
        Ok(())
    }

    #[test]
    fn a_post_handler_sees_the_next_instruction() -> Result {
        struct Ips([Atomic<usize>; 2]);

        #[vtable]
        impl kprobe::Handler for Ips {
            fn pre(&self, cx: &kprobe::Context<'_>) {
                self.0[0].store(cx.ip(), Relaxed);
            }
            fn post(&self, cx: &kprobe::PostContext<'_>) {
                self.0[1].store(cx.ip(), Relaxed);
            }
        }

        let ips = || boxed(Kprobe::new(DIV, Ips([const { Atomic::new(0) }; 2])));
        let probes = [ips()?, ips()?];
        kut_div(some());
        for probe in &probes {
            // After x86's breakpoint of 1 byte, and the ftrace call of 5; at others' breakpoint,
            // and after it.
            let after = if cfg!(CONFIG_X86_64) { [1, 5] } else { [0, 4] };
            let seen = probe.handler().0.each_ref().map(|ip| ip.load(Relaxed));
            assert_eq!(seen, after.map(|bytes| at(probe) + bytes));
        }
        Ok(())
    }
}
