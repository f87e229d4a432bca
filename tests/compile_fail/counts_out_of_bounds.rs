// SPDX-License-Identifier: GPL-2.0
// error: 1 to 1024 counters
// As many counters as the kernel has no per-CPU memory for.

use kernel::prelude::*;
use kprobes::PerCpuCounts;

pub fn make() -> Result<PerCpuCounts<{ usize::MAX / 8 + 1 }>> {
    PerCpuCounts::new()
}
