// SPDX-License-Identifier: GPL-2.0

//! Probes on the library itself, on what registers and unregisters them, and on
//! the handlers.

// case handlers: harmless
// says: outer: CALLS hits, 0 missed
// says: inner: 0 hits, CALLS missed
// case helpers: harmless
// case library_while_it_works: harmless
// case kernel_while_it_works: harmless
// case print: harmless
// says some: print: .* is in \w+\+0x\w+
// says: outer: CALLS hits, 0 missed
// case exit: harmless

#![forbid(unsafe_code)]

use super::{counting, just, keep, Kept, Nop, OTHER, PLACE};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed}, //
};
use kprobes::{
    kprobe, Context, Kprobe, KprobeSet, Kretprobe, ModuleWatch, RateLimit, Target, Tracepoint,
};

/// The library's own, as this module has them.
const HELPERS: [Target<'static>; 7] = [
    Target::symbol(c"attacks:kprobes_enter"),
    Target::symbol(c"attacks:kprobes_leave"),
    Target::symbol(c"attacks:kprobes_leave_kprobes"),
    Target::symbol(c"attacks:kprobes_leave_kretprobes"),
    Target::symbol(c"attacks:kprobes_disarm"),
    Target::symbol(c"attacks:kprobes_enable"),
    Target::symbol(c"attacks:kprobes_must_not_wait"),
];

/// What they call.
const KERNEL: [Target<'static>; 10] = [
    Target::symbol(c"register_kprobe"),
    Target::symbol(c"enable_kprobe"),
    Target::symbol(c"disable_kprobe"),
    Target::symbol(c"unregister_kprobes"),
    Target::symbol(c"register_kretprobe"),
    Target::symbol(c"unregister_kretprobes"),
    Target::symbol(c"mutex_lock"),
    Target::symbol(c"synchronize_rcu"),
    Target::symbol(c"ftrace_set_filter_ip"),
    Target::symbol(c"tracepoint_probe_register"),
];

/// Calls a function that has a probe on it, which is missed then.
struct Calls;

#[inline(never)]
fn called(n: u64) -> u64 {
    core::hint::black_box(n)
}

static CALLED: Atomic<u64> = Atomic::new(0);

#[vtable]
impl kprobe::Handler for Calls {
    fn pre(&self, _cx: &Context<'_>) {
        CALLED.fetch_add(called(1), Relaxed);
    }

    fn unregistered(&self, missed: usize) {
        pr_info!("outer: {} hits, {missed} missed\n", CALLED.load(Relaxed));
    }
}

/// Prints where printing is probed.
#[pin_data]
struct Prints {
    #[pin]
    limit: RateLimit,
}

#[vtable]
impl kprobe::Handler for Prints {
    fn pre(&self, cx: &Context<'_>) {
        if self.limit.pass().is_some() {
            pr_info!("print: {} is in {}\n", cx.comm(), cx.address().location());
        }
    }
}

/// Makes one of each, and undoes it.
fn work() -> Result {
    let targets = [OTHER, OTHER];
    for _ in 0..3 {
        let probe = KBox::pin_init(Kprobe::new(OTHER, Nop), GFP_KERNEL)?;
        probe.disable()?;
        probe.enable()?;
        let _set = KBox::pin_init(KprobeSet::new(&targets, Nop), GFP_KERNEL)?;
        let _ret = KBox::pin_init(Kretprobe::new(OTHER, Nop), GFP_KERNEL)?;
        let _trace = KBox::pin_init(Tracepoint::new(c"sched_process_exit", Nop), GFP_KERNEL)?;
        let _watch = KBox::pin_init(ModuleWatch::new(Nop), GFP_KERNEL)?;
    }
    Ok(())
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"handlers" => {
            let mut kept = just(KBox::pin_init(Kprobe::new(PLACE, Calls), GFP_KERNEL)?)?;
            let inner = Target::address(called as *const () as usize);
            keep(&mut kept, counting(inner, "inner")?)?;
            Ok(kept)
        }
        b"helpers" => just(KBox::pin_init(KprobeSet::new(&HELPERS, Nop), GFP_KERNEL)?),
        b"library_while_it_works" => {
            let set = KBox::pin_init(KprobeSet::new(&HELPERS, Nop), GFP_KERNEL)?;
            for target in HELPERS {
                let probe = Kretprobe::new(target, Nop);
                let _probe: Pin<KBox<Kretprobe<Nop>>> = KBox::pin_init(probe, GFP_KERNEL)?;
                work()?;
            }
            just(set)
        }
        b"kernel_while_it_works" => {
            let mut kept = Kept::new();
            let mut both = 0;
            for target in KERNEL {
                // Not everything is a function to ftrace, nor there with all locks' debugging.
                let Ok(before) = KBox::pin_init(Kprobe::new(target, Nop), GFP_KERNEL) else {
                    continue;
                };
                keep(&mut kept, before)?;
                if let Ok(after) = KBox::pin_init(Kretprobe::new(target, Nop), GFP_KERNEL) {
                    keep(&mut kept, after)?;
                    both += 1;
                }
                work()?;
            }
            if both < 6 {
                return Err(EIO);
            }
            Ok(kept)
        }
        b"print" => {
            let mut kept = Kept::new();
            for name in [
                c"vprintk_emit",
                c"console_unlock",
                c"vsnprintf",
                c"up",
                c"wake_up_klogd",
            ] {
                let prints = pin_init!(Prints { limit <- RateLimit::new(10, 10) });
                let probe = KBox::pin_init(Kprobe::new(Target::symbol(name), prints), GFP_KERNEL);
                if let Ok(probe) = probe {
                    keep(&mut kept, probe)?;
                }
            }
            keep(&mut kept, counting(PLACE, "outer")?)?;
            Ok(kept)
        }
        // The module's exit, and what the kernel does then.
        b"exit" => {
            let targets = [
                Target::symbol(c"attacks:cleanup_module"),
                Target::symbol(c"kfree"),
            ];
            let mut kept = Kept::new();
            for target in targets {
                if let Ok(probe) = KBox::pin_init(Kprobe::new(target, Nop), GFP_KERNEL) {
                    keep(&mut kept, probe)?;
                }
            }
            Ok(kept)
        }
        _ => Err(ENOTTY),
    }
}
