// SPDX-License-Identifier: GPL-2.0

//! User memory of a program, read by handlers that run in kernel threads.

// case of_kernel_threads: harmless
// says: [1-9]\d* reads by programs, 0 by kernel threads of others' memory

use super::*;

/// The address of a page that each thread of the program can read.
const SECRET: usize = 0x1000_0000;

/// Reads the page at each switch of tasks, when `current` is the previous task.
#[derive(Default)]
struct Reads {
    programs: Count,
    threads: Count,
}

#[vtable]
impl tracepoint::Handler for Reads {
    type Args = ();

    fn hit(&self, cx: &tracepoint::Context<'_>, (): ()) {
        if UserPtr::<u64>::new(SECRET).read().is_ok() {
            [&self.programs, &self.threads][usize::from(cx.is_kernel_thread())].add(1);
        }
    }

    fn unregistered(&self, _missed: u64) {
        let (programs, threads) = (self.programs.get(), self.threads.get());
        pr_info!("{programs} reads by programs, {threads} by kernel threads of others' memory\n");
    }
}

pub(super) fn attack(_case: &[u8]) -> Result<Kept> {
    one(Tracepoint::new(c"sched_switch", Reads::default()))
}
