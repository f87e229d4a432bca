// SPDX-License-Identifier: GPL-2.0

//! Handlers wherever there can be any.

// case tracepoints: harmless
// says: [1-9]\d\d+ hits at [1-9]\d+ tracepoints
// case offsets: harmless
// says: [1-9]\d+ places in \d+ functions
// case returns: harmless
// says: [1-9]\d+ returns of \d+ functions

#![forbid(unsafe_code)]

use super::{argument, keep, Kept};
use kernel::{
    prelude::*,
    str::{BStr, CString},
    sync::Arc, //
};
use kprobes::{
    kprobe, kretprobe,
    nofault::{KernelPtr, KernelStr, UserStr},
    tracepoint, Context, Kprobe, Kretprobe, PerCpuCounts, Return, Target, Trace, Tracepoint,
};

/// Counts, and looks at what it is given.
struct Looks(Arc<PerCpuCounts<2>>);

impl tracepoint::Handler for Looks {
    type Args = (
        usize,
        KernelPtr<[u64; 8]>,
        KernelStr,
        UserStr,
        KernelPtr<u8>,
    );

    fn hit(&self, cx: &Context<'_, Trace>, (a, b, c, d, e): Self::Args) {
        let mut buf = [0; 32];
        self.0.inc(0);
        let looked = b.read().is_ok()
            | c.read(&mut buf).is_ok()
            | d.read(&mut buf).is_ok()
            | e.read().is_ok()
            | (a == cx.cpu() as usize)
            | cx.comm().as_bytes().is_empty()
            | (cx.pid() == cx.tgid())
            | (cx.euid() == 0);
        self.0.inc(usize::from(looked));
    }
}

#[vtable]
impl kprobe::Handler for Looks {
    fn pre(&self, cx: &Context<'_>) {
        let mut buf = [0; 32];
        let read = KernelStr::new(cx.arg(0)).read(&mut buf).is_ok();
        self.0.inc(usize::from(read));
    }
}

#[vtable]
impl kretprobe::Handler for Looks {
    type Data = (u64, KernelPtr<u64>);

    fn entry(&self, cx: &Context<'_>) -> Option<(u64, KernelPtr<u64>)> {
        Some((cx.now_ns(), cx.arg(0)))
    }

    fn ret(&self, cx: &Context<'_, Return>, (entered, arg): (u64, KernelPtr<u64>)) {
        let later = cx.now_ns() >= entered;
        self.0.inc(usize::from(later | arg.read().is_ok()));
    }
}

/// Tells at the end.
struct Told {
    counts: Arc<PerCpuCounts<2>>,
    places: u64,
    of: u64,
    what: &'static str,
}

impl Drop for Told {
    fn drop(&mut self) {
        let hits = self.counts.get(0) + self.counts.get(1);
        match self.what {
            "tracepoints" => pr_info!("{hits} hits at {} tracepoints\n", self.places),
            "offsets" => pr_info!("{} places in {} functions\n", self.places, self.of),
            _ => pr_info!("{hits} returns of {} functions\n", self.places),
        }
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let names = argument.value().ok_or(EINVAL)?.to_bytes();
    let counts = Arc::new(PerCpuCounts::new()?, GFP_KERNEL)?;
    let looks = || Looks(counts.clone());
    let mut kept = Kept::new();
    let (mut places, mut of) = (0, 0);
    for name in names
        .split(|&byte| byte == b',')
        .filter(|name| !name.is_empty())
    {
        let name = CString::try_from_fmt(fmt!("{}", BStr::from_bytes(name)))?;
        of += 1;
        match case {
            b"tracepoints" => {
                if let Ok(probe) = KBox::pin_init(Tracepoint::new(&name, looks()), GFP_KERNEL) {
                    keep(&mut kept, probe)?;
                    places += 1;
                }
            }
            // Whatever begins there, and some bytes behind the function.
            b"offsets" => {
                for offset in 0..160 {
                    let target = Target::symbol(&name).offset(offset);
                    if let Ok(probe) = KBox::pin_init(Kprobe::new(target, looks()), GFP_KERNEL) {
                        keep(&mut kept, probe)?;
                        places += 1;
                    }
                }
            }
            b"returns" => {
                let probe = Kretprobe::with_max_active(Target::symbol(&name), 16, looks());
                if let Ok(probe) = KBox::pin_init(probe, GFP_KERNEL) {
                    keep(&mut kept, probe)?;
                    places += 1;
                }
            }
            _ => return Err(ENOTTY),
        }
    }
    let what = match case {
        b"tracepoints" => "tracepoints",
        b"offsets" => "offsets",
        _ => "returns",
    };
    let told = Told {
        counts,
        places,
        of,
        what,
    };
    keep(&mut kept, told)?;
    Ok(kept)
}
