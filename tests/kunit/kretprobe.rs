// SPDX-License-Identifier: GPL-2.0

//! `Kretprobe` and `Timed`: returns, data, calls in flight, stack traces.

use crate::targets::*;

const SLEEP: Target<'static> = Target::symbol(c"kut_sleep");

/// Keeps the argument at the entry, in the largest data allowed, and compares it at the return.
struct Thirds(Seen, Atomic<u64>);

#[vtable]
impl kretprobe::Handler for Thirds {
    type Data = (u32, [u8; 4092]);

    fn entry(&self, cx: &kretprobe::Context<'_>) -> Option<Self::Data> {
        Seen::add(&self.0.pre);
        self.0.note_preemptible();
        // Zero is not followed.
        match cx.arg0() {
            0 => None,
            value => Some((value, [value as u8; 4092])),
        }
    }

    fn ret(&self, cx: &kretprobe::ReturnContext<'_>, (value, bytes): Self::Data) {
        Seen::add(&self.0.post);
        self.0.note_preemptible();
        let more = cx.index() as u32;
        if cx.ret::<u32>() != value / 3 + more || bytes.iter().any(|&byte| byte != value as u8) {
            self.1.fetch_add(1, Relaxed);
        }
        self.0.value.store(u64::from(value), Relaxed);
    }
}

struct Returns(Seen);

#[vtable]
impl kretprobe::Handler for Returns {
    type Data = ();

    fn ret(&self, _cx: &kretprobe::ReturnContext<'_>, (): ()) {
        Seen::add(&self.0.post);
    }
}

fn returns(target: Target<'_>, max_active: u16) -> Result<Pin<KBox<Kretprobe<Returns>>>> {
    let options = kretprobe::Options::default().max_active(max_active);
    let handler = Returns(Seen::new());
    boxed(Kretprobe::with_options(target, options, handler))
}

struct Took(Seen);

#[vtable]
impl timed::Handler for Took {
    type Data = i32;

    fn entry(&self, cx: &timed::Context<'_>) -> Option<i32> {
        let value = cx.arg0();
        (value == 7).then_some(value)
    }

    fn ret(&self, _cx: &timed::ReturnContext<'_>, entered_with: i32, ns: u64) {
        assert_eq!(entered_with, 7);
        Seen::add(&self.0.post);
        self.0.value.store(ns, Relaxed);
    }
}

#[kunit_tests(kprobes_kretprobe)]
mod tests {
    use super::*;

    #[test]
    fn data_from_the_entry_to_the_return() -> Result {
        let handler = Thirds(Seen::new(), Atomic::new(0));
        let set = boxed(KretprobeSet::new(&[DIV, MORE], handler))?;
        let handler = set.handler();
        kut_div(some());
        assert_eq!(handler.0.last(), u64::from(some()));
        kut_div_more(9);
        assert_eq!(handler.0.hits(), (2, 2));
        assert_eq!(handler.1.load(Relaxed), 0);
        assert!(!handler.0.preemptible.load(Relaxed));
        // The entry ignores the return.
        kut_div(0);
        assert_eq!(handler.0.hits(), (3, 2));
        assert_eq!(set.missed(), 0);
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
    fn not_a_function() -> Result {
        let vsnprintf = Target::symbol(c"vsnprintf");
        for target in [
            Target::symbol(c"get_kprobe"),
            Target::address(0),
            DIV.offset(8),
            // Without ftrace: the first one is a function, the others are in assembly and in Rust.
            vsnprintf,
            ASSEMBLY,
            Target::address(<Returns as kretprobe::Handler>::ret as *const () as usize),
        ] {
            assert!(error_of(returns(target, 0)) == Some(EINVAL));
            let targets = [DIV, target];
            let set = KretprobeSet::new(&targets, Returns(Seen::new()));
            assert!(error_of(boxed(set)) == Some(EINVAL));
        }
        // SAFETY: `vsnprintf()` is a C function, built without ftrace.
        let options = unsafe { kretprobe::Options::default().any_function() };
        let handler = Returns(Seen::new());
        let probe = boxed(Kretprobe::with_options(vsnprintf, options, handler))?;
        let before = probe.handler().0.hits();
        // This makes the kernel format the symbol's name.
        let _ = kernel::str::CString::try_from_fmt(fmt!("{}", probe.location()))?;
        assert!(probe.handler().0.hits().1 > before.1);
        Ok(())
    }
}
