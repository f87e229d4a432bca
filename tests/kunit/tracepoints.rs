// SPDX-License-Identifier: GPL-2.0

//! `Tracepoint`: typed arguments, and allocations in handlers of `kmalloc`.

use crate::targets::*;
use kprobes::nofault::KernelPtr;

/// Counts the signals that this task sends to itself, and keeps the last.
struct Signals(i32, Seen);

impl tracepoint::Handler for Signals {
    type Args = (i32, KernelPtr, KernelPtr, i32, i32);

    fn hit(&self, cx: &tracepoint::Context<'_>, (sig, _info, task, group, result): Self::Args) {
        let current = kernel::task::Task::current_raw() as usize;
        // The signal is for a thread, not for a group; results are 0 to 4.
        if cx.pid() == self.0 && task.addr() == current && group == 0 && (0..5).contains(&result) {
            self.1.note(sig as u64, cx.index());
        }
    }
}

/// Allocates whenever this task or an interrupt of it allocates, and is interrupted once.
struct Allocates {
    pid: i32,
    hits: [Atomic<u64>; 4],
}

impl tracepoint::Handler for Allocates {
    type Args = ();

    fn hit(&self, cx: &tracepoint::Context<'_>, (): ()) {
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
        let handler = Signals(current!().pid(), Seen::new());
        let tracepoint = boxed(Tracepoint::new(c"signal_generate", handler))?;
        // SIGUSR1 and SIGUSR2.
        for (hits, sig) in [(1, 10), (2, 12)] {
            kut_signal(sig);
            assert_eq!(tracepoint.handler().1.hits(), (hits, 0));
            assert_eq!(tracepoint.handler().1.last(), sig as u64);
        }
        Ok(())
    }

    #[test]
    fn an_interrupt_of_a_handler_has_hits_and_its_own_calls_have_not() -> Result {
        let handler = Allocates {
            pid: current!().pid(),
            hits: [const { Atomic::new(0) }; 4],
        };
        let tracepoint = boxed(Tracepoint::new(c"kmalloc", handler))?;
        for _ in 0..100 {
            drop(KBox::new([0_u8; 64], GFP_KERNEL)?);
        }
        let hits = tracepoint.handler().hits.each_ref();
        let hits = hits.map(|hits| hits.load(Relaxed));
        // A softirq and an interrupt of the handler are not within it.
        assert!(hits[0] >= 100 && hits[1] >= 1 && hits[2] >= 1);
        // Each hit allocates once, which is missed. There are no other misses.
        assert_eq!(tracepoint.missed(), hits.iter().sum::<u64>());
        Ok(())
    }
}
