// SPDX-License-Identifier: GPL-2.0

//! `Tracepoint`: by name, with typed arguments.

use crate::targets::*;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};
use kprobes::{nofault::KernelPtr, tracepoint, Context, Trace, Tracepoint};

const SIGUSR1: i32 = 10;
const SIGUSR2: i32 = 12;

/// Signals that this task sends to itself.
struct Signals {
    pid: i32,
    count: Arc<Atomic<u64>>,
    last: Atomic<u64>,
    to_self: Atomic<bool>,
}

impl tracepoint::Handler for Signals {
    type Args = (i32, KernelPtr, KernelPtr, i32, i32);

    fn hit(&self, cx: &Context<'_, Trace>, (sig, _info, task, group, result): Self::Args) {
        if cx.pid() != self.pid {
            return;
        }
        self.count.fetch_add(1, Relaxed);
        self.last.store(sig as u64, Relaxed);
        let current = kernel::task::Task::current_raw() as usize;
        // The signal is for a thread, not for a group; results are 0 to 4.
        let good = task.addr() == current && group == 0 && (0..5).contains(&result);
        self.to_self.store(good, Relaxed);
    }

    fn unregistered(&self, _missed: usize) {
        self.count.fetch_add(1000, Relaxed);
    }
}

fn signals(count: &Arc<Atomic<u64>>) -> Signals {
    Signals {
        pid: current!().pid(),
        count: count.clone(),
        last: Atomic::new(0),
        to_self: Atomic::new(false),
    }
}

/// Allocates whenever this task allocates.
struct Allocates {
    pid: i32,
    hits: Atomic<u64>,
}

impl tracepoint::Handler for Allocates {
    type Args = ();

    fn hit(&self, cx: &Context<'_, Trace>, (): ()) {
        if cx.pid() == self.pid {
            self.hits.fetch_add(1, Relaxed);
            drop(KBox::new([0_u8; 64], GFP_ATOMIC));
        }
    }
}

/// Allocates whenever this task or an interrupt of it allocates, and is interrupted once.
struct Interrupted {
    pid: i32,
    hits: [Atomic<u64>; 4],
}

impl tracepoint::Handler for Interrupted {
    type Args = ();

    fn hit(&self, cx: &Context<'_, Trace>, (): ()) {
        if cx.pid() == self.pid {
            let level = kut_level();
            let before = self.hits[level as usize].fetch_add(1, Relaxed);
            drop(KBox::new([0_u8; 64], GFP_ATOMIC));
            if level == 0 && before == 0 {
                kut_interrupt();
            }
        }
    }
}

#[kunit_tests(kprobes_tracepoints)]
mod tests {
    use super::*;

    #[test]
    fn signal_generate() -> Result {
        let count = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let tracepoint = KBox::pin_init(
            Tracepoint::new(c"signal_generate", signals(&count)),
            GFP_KERNEL,
        )?;
        kut_signal(SIGUSR1);
        assert_eq!(count.load(Relaxed), 1);
        assert_eq!(tracepoint.handler().last.load(Relaxed), SIGUSR1 as u64);
        assert!(tracepoint.handler().to_self.load(Relaxed));
        kut_signal(SIGUSR2);
        assert_eq!(count.load(Relaxed), 2);
        assert_eq!(tracepoint.handler().last.load(Relaxed), SIGUSR2 as u64);
        drop(tracepoint);
        kut_signal(SIGUSR1);
        assert_eq!(count.load(Relaxed), 1002);
        Ok(())
    }

    #[test]
    fn two_at_one_tracepoint() -> Result {
        let count = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let one = KBox::pin_init(
            Tracepoint::new(c"signal_generate", signals(&count)),
            GFP_KERNEL,
        )?;
        let two = KBox::pin_init(
            Tracepoint::new(c"signal_generate", signals(&count)),
            GFP_KERNEL,
        )?;
        kut_signal(SIGUSR1);
        assert_eq!(count.load(Relaxed), 2);
        drop(one);
        kut_signal(SIGUSR1);
        assert_eq!(count.load(Relaxed), 1003);
        drop(two);
        Ok(())
    }

    #[test]
    fn recursion() -> Result {
        let pid = current!().pid();
        let handler = Allocates {
            pid,
            hits: Atomic::new(0),
        };
        let tracepoint = KBox::pin_init(Tracepoint::new(c"kmalloc", handler), GFP_KERNEL)?;
        let before = tracepoint.handler().hits.load(Relaxed);
        for _ in 0..100 {
            drop(KBox::new([0_u8; 64], GFP_KERNEL)?);
        }
        let hits = tracepoint.handler().hits.load(Relaxed) - before;
        // Each hit allocates once, which is missed. There are no other misses.
        assert!(hits >= 100);
        assert_eq!(tracepoint.missed() as u64, hits + before);
        Ok(())
    }

    #[test]
    fn interrupt_of_a_handler() -> Result {
        let handler = Interrupted {
            pid: current!().pid(),
            hits: [const { Atomic::new(0) }; 4],
        };
        let tracepoint = KBox::pin_init(Tracepoint::new(c"kmalloc", handler), GFP_KERNEL)?;
        drop(KBox::new([0_u8; 64], GFP_KERNEL)?);
        let hits = tracepoint
            .handler()
            .hits
            .each_ref()
            .map(|hits| hits.load(Relaxed));
        // A softirq and an interrupt of the handler are not within it; what the handler does there is.
        assert!(hits[0] >= 1);
        assert!(hits[1] >= 1);
        assert!(hits[2] >= 1);
        assert_eq!(tracepoint.missed() as u64, hits.iter().sum::<u64>());
        Ok(())
    }

    #[test]
    fn unknown_name() -> Result {
        let count = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let refused = KBox::pin_init(
            Tracepoint::new(c"no_such_event", signals(&count)),
            GFP_KERNEL,
        );
        assert!(error_of(refused) == Some(ENOENT));
        assert_eq!(count.load(Relaxed), 0);
        Ok(())
    }
}
