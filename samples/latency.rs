// SPDX-License-Identifier: GPL-2.0

//! How long does a function take? A histogram of `vfs_read` in powers of two, like
//! bpftrace's `hist()`: in debugfs while the module is loaded
//! (`/sys/kernel/debug/latency/vfs_read`), and in the log when it is unloaded.

use kernel::debugfs::{self, Dir};
use kernel::prelude::*;
use kprobes::{timed, PerCpuCounts, Target, Timed};

module! {
    type: Latency,
    name: "latency",
    authors: ["The rust_kprobe authors"],
    description: "A histogram of the time that vfs_read takes",
    license: "GPL",
}

const BUCKETS: usize = 40;

struct Histogram(PerCpuCounts<BUCKETS>);

impl Histogram {
    /// Calls `line` with the bounds, the count and the length of the bar of each
    /// bucket, from the first to the last that is not empty.
    fn draw(&self, mut line: impl FnMut(u64, u64, u64, usize)) {
        let sum = |n| self.0.get(n);
        let most = (0..BUCKETS).map(sum).max().unwrap_or(0).max(1);
        let first = (0..BUCKETS).find(|&n| sum(n) != 0).unwrap_or(BUCKETS);
        let last = (0..BUCKETS).rfind(|&n| sum(n) != 0).unwrap_or(0);
        for n in first..=last {
            line(1 << n, 2 << n, sum(n), (sum(n) * 40 / most) as usize);
        }
    }
}

const BAR: &str = "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@";

impl timed::Handler for Histogram {
    fn ret(&self, _cx: &timed::ReturnContext<'_>, ns: u64) {
        self.0.inc((ns.max(1).ilog2() as usize).min(BUCKETS - 1));
    }

    fn unregistered(&self, missed: u64) {
        self.draw(|from, to, count, bar| {
            pr_info!(
                "[{from}, {to}) ns {count} |{:<40}|\n",
                BAR.get(..bar).unwrap_or(BAR)
            );
        });
        pr_info!("{missed} missed\n");
    }
}

/// The contents of the debugfs file.
#[pin_data]
struct Shown {
    #[pin]
    probe: Timed<Histogram>,
}

impl debugfs::Writer for Shown {
    fn write(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        let mut done = Ok(());
        self.probe.handler().draw(|from, to, count, bar| {
            let bar = BAR.get(..bar).unwrap_or(BAR);
            done = done.and_then(|()| writeln!(f, "[{from}, {to}) ns {count} |{bar:<40}|"));
        });
        done
    }
}

struct Latency {
    _file: Pin<KBox<debugfs::File<Shown>>>,
}

impl kernel::Module for Latency {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let dir = Dir::new(c"latency");
        let histogram = Histogram(PerCpuCounts::new()?);
        let shown = try_pin_init!(Shown {
            probe <- Timed::new(Target::symbol(c"vfs_read"), histogram),
        }? Error);
        let file = dir.read_only_file(c"vfs_read", shown);
        Ok(Self {
            _file: KBox::pin_init(file, GFP_KERNEL)?,
        })
    }
}
