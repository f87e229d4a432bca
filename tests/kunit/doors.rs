// SPDX-License-Identifier: GPL-2.0

//! The unsafe functions: setting CPU registers, arguments and results; `Override`; `Redirect`.

use crate::targets::*;

const SKIPPED: Target<'static> = Target::symbol(c"kut_skipped");

/// Overrides calls with an odd argument; the result is 1000 plus the index of the target.
struct OverridesOdd(Seen);
#[vtable]
impl overrides::Handler for OverridesOdd {
    fn entry(&self, cx: &overrides::Context<'_>) -> Option<usize> {
        self.0.pre.add(1);
        (cx.arg0::<i32>() % 2 != 0).then_some(1000 + cx.index())
    }
}

fn odd(target: Target<'_>) -> Result<Pin<KBox<Override<OverridesOdd>>>> {
    // SAFETY: The overridden functions only count, add and divide. Their callers use nothing but
    // the result.
    let probe = unsafe { Override::new(target, OverridesOdd(Seen::new())) };
    boxed(probe)
}

const STEP: Target<'static> = Target::symbol(c"kut_step");

/// Continues at the address that the closure returns.
struct RedirectsTo<F>(Seen, F);
#[vtable]
impl<F> redirect::Handler for RedirectsTo<F>
where
    F: Fn(&redirect::Context<'_>) -> Option<Address> + Send + Sync + 'static,
{
    fn pre(&self, cx: &redirect::Context<'_>) -> Option<Address> {
        self.0.pre.add(1);
        (self.1)(cx)
    }
}

fn redirected<F>(target: Target<'_>, to: F) -> Result<Pin<KBox<Redirect<RedirectsTo<F>>>>>
where
    F: Fn(&redirect::Context<'_>) -> Option<Address> + Send + Sync + 'static,
{
    // SAFETY: The closures of the tests skip an instruction that only adds, or continue at an
    // instruction that the function may jump to, or at the entry of a function with the same
    // signature.
    boxed(unsafe { Redirect::new(target, RedirectsTo(Seen::new(), to)) })
}

#[kunit_tests(kprobes_doors)]
mod tests {
    use super::*;

    #[test]
    fn arguments_registers_and_results_are_set() -> Result {
        // SAFETY: The function takes any value, and this is the register of its argument.
        let register = |(): &(), cx: &kprobe::Context<'_>| unsafe { cx.set_register(FIRST, 600) };
        // SAFETY: The function takes any value.
        let argument = |(): &(), cx: &kprobe::Context<'_>| unsafe { cx.set_arg0(300) };
        // SAFETY: The function takes any value.
        let entry = |(): &(), cx: &entry::Context<'_>| unsafe { cx.set_arg0(900) };
        // SAFETY: Only this test calls the function, and expects this result.
        let ret = |(): &(), cx: &kretprobe::ReturnContext<'_>| unsafe { cx.set_ret(7) };
        let probe = boxed(Kprobe::new(DIV, On((), register)))?;
        assert_eq!(kut_div(some()), 200);
        drop(probe);
        let probe = boxed(Kprobe::new(DIV, On((), argument)))?;
        assert_eq!(kut_div(some()), 100);
        drop(probe);
        let probe = boxed(Entry::new(DIV, On((), entry)))?;
        assert_eq!(kut_div(some()), 300);
        drop(probe);
        let probe = boxed(Kretprobe::new(DIV, On((), ret)))?;
        assert_eq!(kut_div(some()), 7);
        drop(probe);
        assert_eq!(kut_div(some()), some() / 3);
        Ok(())
    }

    #[test]
    fn an_override_replaces_the_call() -> Result {
        let ran_before = ran();
        let probe = odd(SKIPPED)?;
        assert_eq!(kut_skipped(1), 1000);
        assert_eq!(kut_skipped(2), 3);
        assert_eq!(kut_skipped(3), 1000);
        assert_eq!(ran() - ran_before, 1);
        assert_eq!(probe.handler().0.hits(), (3, 0));
        assert!(probe.mechanism() != Mechanism::Jump);
        probe.disable()?;
        assert_eq!(kut_skipped(1), 2);
        probe.enable()?;
        assert_eq!(kut_skipped(1), 1000);
        drop(probe);
        assert_eq!(kut_skipped(1), 2);
        Ok(())
    }

    #[test]
    fn an_override_hides_the_call_from_earlier_kprobes() -> Result {
        // The probe that was registered last is called first.
        let earlier = before(SKIPPED)?;
        let probe = odd(SKIPPED)?;
        let later = before(SKIPPED)?;
        assert_eq!(kut_skipped(1), 1000);
        assert_eq!(later.handler().0.hits(), (1, 0));
        assert_eq!(probe.handler().0.hits(), (1, 0));
        // The earlier probe neither counts nor misses the call, as documented.
        assert_eq!(earlier.handler().0.hits(), (0, 0));
        assert_eq!(earlier.missed(), 0);
        kut_skipped(2);
        assert_eq!(earlier.handler().0.hits(), (1, 0));
        Ok(())
    }

    #[test]
    fn a_redirect_skips_an_instruction() -> Result {
        let earlier = before(STEP)?;
        let probe = redirected(STEP, |cx| Some(cx.next_instruction()))?;
        assert!(probe.mechanism() == Mechanism::Breakpoint);
        assert_eq!(kut_steps(), 1);
        assert_eq!(probe.handler().0.hits(), (1, 0));
        // The earlier probe neither counts nor misses the call, as documented.
        assert_eq!((earlier.handler().0.hits(), earlier.missed()), ((0, 0), 0));
        probe.disable()?;
        assert_eq!(kut_steps(), 3);
        probe.enable()?;
        assert_eq!(kut_steps(), 1);
        drop(probe);
        assert_eq!(kut_steps(), 3);
        Ok(())
    }

    #[test]
    fn a_redirect_continues_elsewhere_or_not() -> Result {
        let elsewhere = &raw const kut_step_else as usize;
        let probe = redirected(STEP, move |_| Some(Address::new(elsewhere)))?;
        assert_eq!(kut_steps(), 100);
        drop(probe);
        let probe = redirected(STEP, |_| None)?;
        assert_eq!(kut_steps(), 3);
        assert_eq!(probe.handler().0.hits(), (1, 0));
        Ok(())
    }

    #[test]
    fn a_redirect_works_at_an_entry() -> Result {
        let other = before(MORE)?.address().ok_or(EINVAL)?;
        let probe = redirected(DIV, move |_| Some(other))?;
        assert!(probe.mechanism() != Mechanism::Jump);
        assert_eq!(kut_div(301), 101);
        drop(probe);
        // Skipping ftrace's call has no effect.
        let probe = redirected(DIV, |cx| Some(cx.next_instruction()))?;
        let skipped = probe.mechanism() == Mechanism::Ftrace;
        assert!(!skipped || kut_div(301) == 100);
        Ok(())
    }

    #[test]
    fn an_override_inside_a_function_is_refused() -> Result {
        let offset = (5..32)
            .find(|&n| before(DIV.offset(n)).is_ok())
            .ok_or(ENOENT)?;
        assert!(error_of(odd(DIV.offset(offset))) == Some(EINVAL));
        assert_eq!(kut_div(301), 100);
        Ok(())
    }
}
