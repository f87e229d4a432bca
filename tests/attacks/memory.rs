// SPDX-License-Identifier: GPL-2.0

//! Pointers that point nowhere, or where they should not.

// case kernel: harmless
// says: 0 of 12 read
// case user: harmless
// says: 0 of 12 read
// case strings: harmless
// says: 0 of 24 read
// case in_handlers: harmless
// says: read: 0 of \d+
// case misused: harmless
// case others: harmless
// says: [1-9]\d* reads by programs, 0 by kernel threads of others' memory
// case nested_shows: harmless
// says: shown CALLS times

#![forbid(unsafe_code)]

use super::{just, keep, Kept, PLACE};
use core::fmt::Write;
use kernel::prelude::*;
use kprobes::{
    kprobe,
    nofault::{KernelPtr, KernelStr, UserPtr, UserStr},
    tracepoint, Context, Count, Kprobe, KprobeSet, Target, Trace, Tracepoint,
};

/// Addresses that nobody can read, whatever he thinks that they are.
const BAD: [usize; 12] = [
    0,
    1,
    0xfff,
    0x8000_0000_0000_0000,
    0x0000_8000_0000_0000,
    0xffff_7fff_ffff_ffff,
    0xdead_0000_0000_0100,
    // Kernel space that nobody uses: the hole before the direct map.
    0xffff_8000_0000_0000,
    usize::MAX,
    usize::MAX - 3,
    usize::MAX - 7,
    usize::MAX - 4095,
];

/// How many of them can be read.
fn kernel_reads() -> u64 {
    let read = |addr: &&usize| KernelPtr::<[u8; 8]>::new(**addr).read().is_ok();
    BAD.iter().filter(read).count() as u64
}

fn user_reads() -> u64 {
    let read = |addr: &&usize| UserPtr::<[u8; 1024]>::new(**addr).read().is_ok();
    BAD.iter().filter(read).count() as u64
}

fn strings() -> u64 {
    let mut buf = [0; 100];
    let mut read = 0;
    for addr in BAD {
        read += u64::from(KernelStr::new(addr).read(&mut buf).is_ok());
        read += u64::from(UserStr::new(addr).read(&mut buf).is_ok());
    }
    read
}

/// Tries all of them at each hit.
struct Tries {
    read: Count,
    tried: Count,
}

#[vtable]
impl kprobe::Handler for Tries {
    fn pre(&self, _cx: &Context<'_>) {
        self.read.add(kernel_reads() + user_reads() + strings());
        self.tried.add(48);
    }

    fn unregistered(&self, _missed: usize) {
        pr_info!("read: {} of {}\n", self.read.get(), self.tried.get());
    }
}

/// Takes arguments for what they are not.
struct Misuses(Count);

#[vtable]
impl kprobe::Handler for Misuses {
    fn pre(&self, cx: &Context<'_>) {
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
        let user: Result<(u64, u64, u64, u64, u64, u64)> = cx.syscall_args();
        self.0.add(u64::from(user.is_ok()));
    }
}

impl tracepoint::Handler for Misuses {
    type Args = (
        KernelStr,
        UserStr,
        KernelPtr<KernelPtrs>,
        bool,
        Result<KernelPtr>,
    );

    fn hit(&self, _cx: &Context<'_, Trace>, (a, b, c, d, e): Self::Args) {
        let mut buf = [0; 300];
        let read = a.read(&mut buf).is_ok()
            | b.read(&mut buf).is_ok()
            | c.read().is_ok()
            | d
            | e.is_ok_and(|pointer| pointer.is_null());
        self.0.add(u64::from(read));
    }
}

type KernelPtrs = [usize; 16];

/// Where the program has a page that each thread of it can read.
const SECRET: usize = 0x1000_0000;

/// Reads it whenever tasks are switched: `current` is the one that goes.
struct Reads {
    programs: Count,
    threads: Count,
}

impl tracepoint::Handler for Reads {
    type Args = ();

    fn hit(&self, cx: &Context<'_, Trace>, (): ()) {
        if UserPtr::<u64>::new(SECRET).read().is_ok() {
            let count = if cx.is_kernel_thread() {
                &self.threads
            } else {
                &self.programs
            };
            count.add(1);
        }
    }

    fn unregistered(&self, _missed: usize) {
        let (programs, threads) = (self.programs.get(), self.threads.get());
        pr_info!("{programs} reads by programs, {threads} by kernel threads of others' memory\n");
    }
}

/// Has as much on the stack as one reads or shows at once, more than once.
struct Shows(Count);

#[vtable]
impl kprobe::Handler for Shows {
    fn pre(&self, cx: &Context<'_>) {
        let one = KernelStr::new(cx.sp()).show::<1024>();
        let other = UserStr::new(cx.arg(0)).show::<1024>();
        // Near the end of a stack it is not all there.
        let words = KernelPtr::<[u64; 128]>::new(cx.sp())
            .read()
            .unwrap_or([0; 128]);
        let sum = words.iter().fold(0u64, |sum, &word| sum.wrapping_add(word));
        // It is not said, but made.
        let mut room = [0; 64];
        let mut text = kernel::str::Formatter::new(&mut room);
        let _ = text.write_fmt(fmt!("{one}{other}{sum}"));
        self.0.add(1);
    }

    fn unregistered(&self, _missed: usize) {
        pr_info!("shown {} times\n", self.0.get());
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"kernel" => pr_info!("{} of 12 read\n", kernel_reads()),
        b"user" => pr_info!("{} of 12 read\n", user_reads()),
        b"strings" => pr_info!("{} of 24 read\n", strings()),
        b"in_handlers" => {
            let mut kept = Kept::new();
            let targets = [
                PLACE,
                Target::symbol(c"schedule"),
                Target::symbol(c"handle_mm_fault"),
                Target::symbol(c"update_process_times"),
            ];
            let tries = Tries {
                read: Count::new(),
                tried: Count::new(),
            };
            let set = KprobeSet::new(&targets, tries);
            keep(&mut kept, KBox::pin_init(set, GFP_KERNEL)?)?;
            return Ok(kept);
        }
        b"misused" => {
            let mut kept = Kept::new();
            let functions = [
                c"schedule",
                c"handle_mm_fault",
                c"update_process_times",
                c"vfs_read",
                c"kfree",
                c"do_exit",
                c"try_to_wake_up",
                c"ksys_write",
            ];
            for name in functions {
                let probe = Kprobe::new(Target::symbol(name), Misuses(Count::new()));
                keep(&mut kept, KBox::pin_init(probe, GFP_KERNEL)?)?;
            }
            for name in [
                c"kmalloc",
                c"sched_switch",
                c"sys_enter",
                c"signal_generate",
            ] {
                let probe = Tracepoint::new(name, Misuses(Count::new()));
                keep(&mut kept, KBox::pin_init(probe, GFP_KERNEL)?)?;
            }
            return Ok(kept);
        }
        b"others" => {
            let reads = Reads {
                programs: Count::new(),
                threads: Count::new(),
            };
            return just(KBox::pin_init(
                Tracepoint::new(c"sched_switch", reads),
                GFP_KERNEL,
            )?);
        }
        b"nested_shows" => {
            let probe = Kprobe::new(PLACE, Shows(Count::new()));
            return just(KBox::pin_init(probe, GFP_KERNEL)?);
        }
        _ => return Err(ENOTTY),
    }
    Ok(Kept::new())
}
