// SPDX-License-Identifier: GPL-2.0

//! Probes on the library, on functions that register and unregister them, and on handlers.

// case handlers: harmless
// says: outer: CALLS hits, 0 missed
// says: inner: 0 hits, CALLS missed
// case library_while_it_works: harmless
// case kernel_while_it_works: harmless
// case print: harmless
// says some: print: .* is in \w+\+0x\w+
// says: outer: CALLS hits, 0 missed
// case exit: harmless

use super::*;

/// The library's own functions in this module.
const HELPERS: &str = "attacks:kprobes_add_registration,attacks:kprobes_enable,\
    attacks:kprobes_enable_all,attacks:kprobes_may_register,attacks:kprobes_hashed_flags,\
    attacks:kprobes_entry_watch";
const KERNEL: &str = "register_kprobe,enable_kprobe,disable_kprobe,unregister_kprobes,\
    register_kretprobe,unregister_kretprobes,mutex_lock,synchronize_rcu,ftrace_set_filter_ip,\
    tracepoint_probe_register";
const PRINTING: &str = "vprintk_emit,console_unlock,vsnprintf,up,wake_up_klogd";

/// A function with a probe, whose hits in a handler are missed.
#[inline(never)]
fn called() {
    core::hint::black_box(&mut 0);
}

/// A post handler, so that the kernel does not optimize the probe: after an optimized probe, the
/// next module at this address could not have a probe there, see RELIABILITY.md.
struct PostOnly;

#[vtable]
impl kprobe::Handler for PostOnly {
    fn post(&self, _cx: &kprobe::PostContext<'_>) {}
}

#[pin_data]
struct Prints {
    #[pin]
    limit: RateLimit,
}

#[vtable]
impl kprobe::Handler for Prints {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        if self.limit.pass().is_some() {
            pr_info!("print: {} is in {}\n", cx.comm(), cx.address().location());
        }
    }
}

fn work() -> Result {
    let targets = [OTHER, OTHER];
    for _ in 0..3 {
        let probe = boxed(Kprobe::new(OTHER, Nop))?;
        probe.disable()?;
        probe.enable()?;
        let _set = boxed(KprobeSet::new(&targets, Nop))?;
        let _ret = boxed(Kretprobe::new(OTHER, Nop))?;
        let _trace = boxed(Tracepoint::new(SCHED_FORK, Nop))?;
        let _watch = boxed(ModuleWatch::new(Nop))?;
    }
    Ok(())
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let mut kept = Kept::new();
    let quiet = Options::default().quiet();
    match case {
        b"handlers" => {
            add(&mut kept, Kprobe::new(PLACE, calls("outer", called)))?;
            let inner = Target::address(called as *const () as usize);
            keep(&mut kept, counting(inner, "inner")?)?;
        }
        b"library_while_it_works" => {
            let names = split(HELPERS.as_bytes())?;
            let targets = targets(&names)?;
            add(&mut kept, KprobeSet::new(&targets, PostOnly))?;
            for &target in &targets {
                let _probe = boxed(Kprobe::new(target, PostOnly))?;
                work()?;
            }
        }
        b"kernel_while_it_works" => {
            let mut both = 0;
            for name in split(KERNEL.as_bytes())? {
                let target = Target::symbol(&name);
                // ftrace does not know all of these, and with lock debugging some do not exist.
                if try_add(&mut kept, Kprobe::with_options(target, quiet, Nop))? {
                    let returns = kretprobe::Options::default().quiet();
                    let probe = Kretprobe::with_options(target, returns, Nop);
                    both += u32::from(try_add(&mut kept, probe)?);
                    work()?;
                }
            }
            if both < 6 {
                return Err(EIO);
            }
        }
        b"print" => {
            for name in split(PRINTING.as_bytes())? {
                let prints = pin_init!(Prints { limit <- RateLimit::new(10, 10) });
                let target = Target::symbol(&name);
                try_add(&mut kept, Kprobe::with_options(target, quiet, prints))?;
            }
            keep(&mut kept, counting(PLACE, "outer")?)?;
        }
        // The module's exit, and what the kernel calls after it.
        b"exit" => {
            for target in [c"attacks:cleanup_module", c"kfree"].map(Target::symbol) {
                try_add(&mut kept, Kprobe::with_options(target, quiet, Nop))?;
            }
        }
        _ => return Err(ENOTTY),
    }
    Ok(kept)
}
