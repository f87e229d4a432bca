// SPDX-License-Identifier: GPL-2.0

//! The unsafe functions: setting CPU registers, arguments and results; `Override`.

use crate::targets::*;
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use kprobes::{kprobe, kretprobe, overrides, Context, Kprobe, Kretprobe, Override, Return, Target};

const DIV: Target<'static> = Target::symbol(c"kut_div");
const SKIPPED: Target<'static> = Target::symbol(c"kut_skipped");

struct Argument;
#[vtable]
impl kprobe::Handler for Argument {
    fn pre(&self, cx: &Context<'_>) {
        // SAFETY: The function takes any value.
        unsafe { cx.set_arg(0, 300) };
    }
}

struct ByName;
#[vtable]
impl kprobe::Handler for ByName {
    fn pre(&self, cx: &Context<'_>) {
        // SAFETY: The function takes any value, and this is the CPU register of its argument.
        unsafe { cx.set_register(FIRST, 600) };
    }
}

struct Result7;
#[vtable]
impl kretprobe::Handler for Result7 {
    type Data = ();
    fn ret(&self, cx: &Context<'_, Return>, (): ()) {
        // SAFETY: Only the test calls the function, and it expects this.
        unsafe { cx.set_ret(7) };
    }
}

/// Overrides calls with an odd argument.
struct Odd(Seen);
impl overrides::Handler for Odd {
    fn entry(&self, cx: &Context<'_>) -> Option<usize> {
        Seen::add(&self.0.pre);
        (cx.arg::<i32>(0) % 2 != 0).then_some(1000)
    }

    fn unregistered(&self, missed: usize) {
        self.0.value.store(missed as u64, Relaxed);
    }
}

fn odd(target: Target<'_>) -> Result<Pin<KBox<Override<Odd>>>> {
    // SAFETY: The functions that are overridden here count, add and divide. Their callers expect
    // nothing but a result.
    let probe = unsafe { Override::new(target, Odd(Seen::new())) };
    KBox::pin_init(probe, GFP_KERNEL)
}

#[kunit_tests(kprobes_doors)]
mod tests {
    use super::*;

    #[test]
    fn set_arg() -> Result {
        let probe = KBox::pin_init(Kprobe::new(DIV, Argument), GFP_KERNEL)?;
        assert_eq!(kut_div(some()), 100);
        drop(probe);
        assert_eq!(kut_div(some()), some() / 3);
        Ok(())
    }

    #[test]
    fn set_register() -> Result {
        let probe = KBox::pin_init(Kprobe::new(DIV, ByName), GFP_KERNEL)?;
        assert_eq!(kut_div(some()), 200);
        drop(probe);
        Ok(())
    }

    #[test]
    fn set_ret() -> Result {
        let probe = KBox::pin_init(Kretprobe::new(DIV, Result7), GFP_KERNEL)?;
        assert_eq!(kut_div(some()), 7);
        drop(probe);
        assert_eq!(kut_div(some()), some() / 3);
        Ok(())
    }

    #[test]
    fn override_returns() -> Result {
        let ran_before = ran();
        let probe = odd(SKIPPED)?;
        assert_eq!(kut_skipped(1), 1000);
        assert_eq!(kut_skipped(2), 3);
        assert_eq!(kut_skipped(3), 1000);
        assert_eq!(ran() - ran_before, 1);
        assert_eq!(probe.handler().0.hits(), (3, 0));
        assert!(!probe.is_optimized());
        drop(probe);
        assert_eq!(kut_skipped(1), 2);
        Ok(())
    }

    #[test]
    fn override_beside_others() -> Result {
        // The probe that was registered last is called first.
        let earlier = before(SKIPPED)?;
        let probe = odd(SKIPPED)?;
        let later = before(SKIPPED)?;
        assert_eq!(kut_skipped(1), 1000);
        assert_eq!(later.handler().0.hits(), (1, 0));
        assert_eq!(probe.handler().0.hits(), (1, 0));
        // For this one, the call was neither a hit nor missed, as documented.
        assert_eq!(earlier.handler().0.hits(), (0, 0));
        assert_eq!(earlier.missed(), 0);
        kut_skipped(2);
        assert_eq!(earlier.handler().0.hits(), (1, 0));
        Ok(())
    }

    #[test]
    fn override_while_disabled() -> Result {
        let probe = odd(SKIPPED)?;
        probe.disable()?;
        assert_eq!(kut_skipped(1), 2);
        probe.enable()?;
        assert_eq!(kut_skipped(1), 1000);
        Ok(())
    }

    #[test]
    fn override_inside_is_refused() -> Result {
        let offset = (5..32)
            .find(|&n| before(DIV.offset(n)).is_ok())
            .ok_or(ENOENT)?;
        assert!(error_of(odd(DIV.offset(offset))) == Some(EINVAL));
        assert_eq!(kut_div(301), 100);
        Ok(())
    }
}
