// SPDX-License-Identifier: GPL-2.0

//! Handlers at all places that accept a probe.

// case tracepoints: harmless
// says: [1-9]\d\d+ hits, [1-9]\d+ places by \d+ names
// case offsets: harmless
// says: \d+ hits, [1-9]\d+ places by \d+ names
// case returns: harmless
// says: [1-9]\d+ hits, [1-9]\d* places by \d+ names

use super::*;

/// Counts hits, and reads all that the context has.
struct ReadsAll(Arc<PerCpuCounts<2>>);

#[vtable]
impl tracepoint::Handler for ReadsAll {
    type Args = (
        usize,
        KernelPtr<[u64; 8]>,
        KernelStr,
        UserStr,
        KernelPtr<u8>,
    );

    fn hit(&self, cx: &tracepoint::Context<'_>, (a, b, c, d, e): Self::Args) {
        let mut buf = [0; 32];
        self.0.inc(0);
        let read = b.read().is_ok()
            | c.read(&mut buf).is_ok()
            | d.read(&mut buf).is_ok()
            | e.read().is_ok()
            | (a == cx.cpu() as usize)
            | cx.comm().as_bytes().is_empty()
            | (cx.pid() == cx.tgid())
            | (cx.euid() == 0);
        self.0.inc(usize::from(read));
    }
}

#[vtable]
impl kprobe::Handler for ReadsAll {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        let mut buf = [0; 300];
        let (a, b, c, d, e, f): (usize, usize, usize, usize, usize, usize) = cx.args();
        for addr in [a, b, c, d, e, f, cx.sp(), cx.ip(), cx.flags()] {
            let read = KernelStr::new(addr).read(&mut buf).is_ok()
                | UserStr::new(addr).read(&mut buf).is_ok()
                | UserPtr::<u64>::new(addr).element(1 << 60).read().is_ok();
            core::hint::black_box(read);
        }
        let call: Result<(u64, u64, u64, u64, u64, u64)> = cx.syscall_args();
        self.0.inc(usize::from(call.is_ok() & cx.in_task()));
    }
}

#[vtable]
impl kretprobe::Handler for ReadsAll {
    type Data = (u64, KernelPtr<u64>);

    fn entry(&self, cx: &kretprobe::Context<'_>) -> Option<(u64, KernelPtr<u64>)> {
        Some((cx.now_ns(), cx.arg0()))
    }

    fn ret(&self, cx: &kretprobe::ReturnContext<'_>, (entered, arg): (u64, KernelPtr<u64>)) {
        let later = cx.now_ns() >= entered;
        self.0.inc(usize::from(later | arg.read().is_ok()));
    }
}

struct Summary {
    counts: Arc<PerCpuCounts<2>>,
    places: u64,
    of: usize,
}

impl Drop for Summary {
    fn drop(&mut self) {
        let hits = self.counts.get(0) + self.counts.get(1);
        pr_info!("{hits} hits, {} places by {} names\n", self.places, self.of);
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let counts = Arc::new(PerCpuCounts::new()?, GFP_KERNEL)?;
    let reads_all = || ReadsAll(counts.clone());
    let (mut kept, mut places) = (Kept::new(), 0);
    let quiet = Options::default().quiet();
    let names = names()?;
    let of = names.len();
    for name in &names {
        let target = Target::symbol(name);
        match case {
            b"tracepoints" => {
                let probe = Tracepoint::with_options(name, quiet, reads_all());
                places += u64::from(try_add(&mut kept, probe)?);
            }
            // Any instruction of the function, and some bytes after it.
            b"offsets" => {
                for offset in 0..160 {
                    let probe = Kprobe::with_options(target.offset(offset), quiet, reads_all());
                    places += u64::from(try_add(&mut kept, probe)?);
                }
            }
            b"returns" => {
                let options = kretprobe::Options::default().max_active(16).quiet();
                let probe = Kretprobe::with_options(target, options, reads_all());
                places += u64::from(try_add(&mut kept, probe)?);
            }
            _ => return Err(ENOTTY),
        }
    }
    keep(&mut kept, Summary { counts, places, of })?;
    Ok(kept)
}
