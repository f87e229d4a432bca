// SPDX-License-Identifier: GPL-2.0

//! The unsafe doors: what changes the probed code's world.

use crate::targets::*;
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use kprobes::{
    Context,
    Handler,
    Kprobe,
    KprobeSet,
    Kretprobe,
    Post,
    Probe,
    Return,
    ReturnHandler,
    Target, //
};

const DIV: Target<'static> = Target::symbol(c"kut_div");
const SKIPPED: Target<'static> = Target::symbol(c"kut_skipped");

struct Argument;
#[vtable]
impl Handler for Argument {
    fn pre(&self, cx: &Context<'_>) {
        // SAFETY: The function divides whatever it is given.
        unsafe { cx.set_arg(0, 300) };
    }
}

struct ByName;
#[vtable]
impl Handler for ByName {
    fn pre(&self, cx: &Context<'_>) {
        // SAFETY: The function divides whatever it is given, and that is its argument.
        unsafe { cx.set_register(FIRST, 600) };
    }
}

struct Result7;
#[vtable]
impl ReturnHandler for Result7 {
    type Data = ();
    fn ret(&self, cx: &Context<'_, Return>, (): ()) {
        // SAFETY: The test alone calls the function, and expects this.
        unsafe { cx.set_ret(7) };
    }
}

/// Skips calls with an odd argument.
struct Skip(Seen);
#[vtable]
impl Handler for Skip {
    fn pre(&self, cx: &Context<'_>) {
        if cx.arg::<i32>(0) % 2 != 0 {
            // SAFETY: The function counts and adds; it owes its caller nothing else.
            let skipped = unsafe { cx.skip_function(1000) };
            self.0.value.store(u64::from(skipped.is_ok()), Relaxed);
        }
        Seen::add(&self.0.pre);
    }

    fn post(&self, _cx: &Context<'_, Post>) {
        Seen::add(&self.0.post);
    }
}

/// Tries to skip, without a post handler.
struct SkipWithout(Seen);
#[vtable]
impl Handler for SkipWithout {
    fn pre(&self, cx: &Context<'_>) {
        // SAFETY: As above.
        let error = unsafe { cx.skip_function(1000) }.err();
        let errno = error.map_or(0, |e| e.to_errno().unsigned_abs());
        self.0.value.store(u64::from(errno), Relaxed);
    }
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
    fn skip_function() -> Result {
        let ran_before = ran();
        let probe = KBox::pin_init(Kprobe::new(SKIPPED, Skip(Seen::new())), GFP_KERNEL)?;
        assert_eq!(kut_skipped(1), 1000);
        assert_eq!(kut_skipped(2), 3);
        assert_eq!(kut_skipped(3), 1000);
        assert_eq!(ran() - ran_before, 1);
        let seen = &probe.handler().0;
        assert_eq!(seen.last(), 1);
        // No post for a hit that skips.
        assert_eq!(seen.hits(), (3, 1));
        drop(probe);
        assert_eq!(kut_skipped(1), 2);
        Ok(())
    }

    #[test]
    fn skip_function_beside_others() -> Result {
        // The probe that came last is called first.
        let earlier = before(SKIPPED)?;
        let probe = KBox::pin_init(Kprobe::new(SKIPPED, Skip(Seen::new())), GFP_KERNEL)?;
        let later = before(SKIPPED)?;
        assert_eq!(kut_skipped(1), 1000);
        assert_eq!(later.handler().0.hits(), (1, 0));
        assert_eq!(probe.handler().0.hits(), (1, 0));
        // For this one the call was neither a hit nor missed, as the documentation says.
        assert_eq!(earlier.handler().0.hits(), (0, 0));
        assert_eq!(earlier.missed(), 0);
        kut_skipped(2);
        assert_eq!(earlier.handler().0.hits(), (1, 0));
        Ok(())
    }

    #[test]
    fn skip_function_in_a_set() -> Result {
        let ran_before = ran();
        let targets = [SKIPPED, DIV];
        let set = KBox::pin_init(KprobeSet::new(&targets, Skip(Seen::new())), GFP_KERNEL)?;
        assert_eq!(kut_skipped(1), 1000);
        assert_eq!(kut_div(3), 1000);
        assert_eq!(kut_div(30), 10);
        assert_eq!(ran(), ran_before);
        drop(set);
        assert_eq!(kut_skipped(1), 2);
        Ok(())
    }

    #[test]
    fn skip_without_post_is_refused() -> Result {
        let probe = KBox::pin_init(Kprobe::new(SKIPPED, SkipWithout(Seen::new())), GFP_KERNEL)?;
        assert_eq!(kut_skipped(1), 2);
        // EOPNOTSUPP
        assert_eq!(probe.handler().0.last(), 95);
        Ok(())
    }

    #[test]
    fn skip_from_inside_is_refused() -> Result {
        let offset = (5..32)
            .find(|&n| before(DIV.offset(n)).is_ok())
            .ok_or(ENOENT)?;
        let probe = KBox::pin_init(
            Kprobe::new(DIV.offset(offset), Skip(Seen::new())),
            GFP_KERNEL,
        )?;
        probe.handler().0.value.store(5, Relaxed);
        assert_eq!(kut_div(301), 100);
        assert_eq!(probe.handler().0.last(), 0);
        Ok(())
    }
}
