// SPDX-License-Identifier: GPL-2.0

//! `Tracepoint`: allocations in handlers of `kmalloc`.

use crate::targets::*;

/// Allocates at each allocation of this task and in its interrupts, and is interrupted once.
struct Allocates {
    pid: i32,
    hits: [Atomic<u64>; 4],
}

#[vtable]
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
    fn an_interrupt_of_a_handler_is_hit_and_its_own_calls_are_not() -> Result {
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
        // A softirq and an interrupt of the handler are not recursion.
        assert!(hits[0] >= 100 && hits[1] >= 1 && hits[2] >= 1);
        // Each hit allocates once, which is the only miss.
        assert_eq!(tracepoint.missed(), hits.iter().sum::<u64>());
        Ok(())
    }
}
