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
use kprobes::{
    Context,
    KernelPtr,
    Trace,
    Tracepoint,
    TracepointHandler, //
};

const SIGUSR1: i32 = 10;
const SIGUSR2: i32 = 12;

/// Signals that this task sends to itself.
struct Signals {
    pid: i32,
    count: Arc<Atomic<u64>>,
    last: Atomic<u64>,
    to_self: Atomic<bool>,
}

impl TracepointHandler for Signals {
    type Args = (i32, KernelPtr, KernelPtr, i32, i32);

    fn hit(&self, cx: &Context<'_, Trace>, (sig, _info, task, group, result): Self::Args) {
        if cx.pid() != self.pid {
            return;
        }
        self.count.fetch_add(1, Relaxed);
        self.last.store(sig as u64, Relaxed);
        let current = kernel::task::Task::current_raw() as usize;
        // A thread's signal is no group's; results are 0 to 4.
        let good = task.addr() == current && group == 0 && (0..5).contains(&result);
        self.to_self.store(good, Relaxed);
    }

    fn unregistered(&self) {
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
