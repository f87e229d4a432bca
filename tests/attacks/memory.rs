// SPDX-License-Identifier: GPL-2.0

//! Pointers that point nowhere, or where they should not.

// case misused: harmless
// case others: harmless
// says: [1-9]\d* reads by programs, 0 by kernel threads of others' memory
// case nested_shows: harmless
// says: shown CALLS times

use super::*;
use core::fmt::Write;

type Row = [usize; 16];

/// Takes arguments for what they are not.
struct Misuses(Count);

#[vtable]
impl kprobe::Handler for Misuses {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        let mut buf = [0; 300];
        let (a, b, c, d, e, f): (usize, usize, usize, usize, usize, usize) = cx.args();
        for addr in [a, b, c, d, e, f, cx.sp(), cx.ip(), cx.flags()] {
            let read = KernelStr::new(addr).read(&mut buf).is_ok()
                | UserStr::new(addr).read(&mut buf).is_ok()
                | UserPtr::<u64>::new(addr).element(1 << 60).read().is_ok()
                | KernelPtr::<u64>::new(addr)
                    .field::<u8>(usize::MAX)
                    .read()
                    .is_ok();
            self.0.add(u64::from(read));
        }
        let _ = (cx.address().location(), cx.index(), cx.euid(), cx.tgid());
        let user: Result<(u64, u64, u64, u64, u64, u64)> = cx.syscall_args();
        self.0.add(u64::from(user.is_ok()));
    }
}

impl tracepoint::Handler for Misuses {
    type Args = (KernelStr, UserStr, KernelPtr<Row>, bool, Result<KernelPtr>);

    fn hit(&self, _cx: &tracepoint::Context<'_>, (a, b, c, d, e): Self::Args) {
        let mut buf = [0; 300];
        let read = a.read(&mut buf).is_ok()
            | b.read(&mut buf).is_ok()
            | c.read().is_ok()
            | d
            | e.is_ok_and(|pointer| pointer.is_null());
        self.0.add(u64::from(read));
    }
}

/// Where the program has a page that each thread of it can read.
const SECRET: usize = 0x1000_0000;

/// Reads it whenever tasks are switched: `current` is the one that goes.
#[derive(Default)]
struct Reads {
    programs: Count,
    threads: Count,
}

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

/// Has as much on the stack as one reads or shows at once, more than once.
struct Shows(Count);

#[vtable]
impl kprobe::Handler for Shows {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        let one = KernelStr::new(cx.sp()).show::<1024>();
        let other = UserStr::new(cx.arg0()).show::<1024>();
        // Near the end of a stack it is not all there.
        let words = KernelPtr::<[u64; 128]>::new(cx.sp()).read();
        let words = words.unwrap_or([0; 128]);
        let sum = words.iter().fold(0u64, |sum, &word| sum.wrapping_add(word));
        let mut room = [0; 64];
        let mut text = kernel::str::Formatter::new(&mut room);
        let _ = text.write_fmt(fmt!("{one}{other}{sum}"));
        self.0.add(1);
    }

    fn unregistered(&self, _missed: u64) {
        pr_info!("shown {} times\n", self.0.get());
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let functions = [
        c"schedule",
        c"handle_mm_fault",
        c"update_process_times",
        c"vfs_read",
        c"kfree",
        c"do_exit",
        c"try_to_wake_up",
        c"ksys_write",
    ]
    .map(Target::symbol);
    let tracepoints = [
        c"kmalloc",
        c"sched_switch",
        c"sys_enter",
        c"signal_generate",
    ];
    let misuses = || Misuses(Count::new());
    match case {
        b"misused" => {
            let mut kept = one(KprobeSet::new(&functions, misuses()))?;
            add(&mut kept, TracepointSet::new(&tracepoints, misuses()))?;
            Ok(kept)
        }
        b"others" => one(Tracepoint::new(c"sched_switch", Reads::default())),
        b"nested_shows" => one(Kprobe::new(PLACE, Shows(Count::new()))),
        _ => Err(ENOTTY),
    }
}
