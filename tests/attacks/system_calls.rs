// SPDX-License-Identifier: GPL-2.0

//! Arguments of 64-bit and 32-bit system calls, read in the same way at all entry points.

// case of_64_bits: harmless
// says: CALLS of 64 bits, 0 of 32 bits, 0 others
// case of_32_bits: harmless
// says: 0 of 64 bits, CALLS of 32 bits, 0 others

use super::*;

/// Results of reading the arguments of getpriority(0, 0).
#[derive(Default)]
struct Reads {
    /// By 64-bit and by 32-bit programs.
    right: [Count; 2],
    others: Count,
}

#[vtable]
impl entry::Handler for Reads {
    fn entry(&self, cx: &entry::Context<'_>) {
        match cx.syscall_args::<(i32, i32)>() {
            Ok((0, 0)) => self.right[usize::from(cx.in_compat_syscall())].add(1),
            _ => self.others.add(1),
        }
    }

    fn unregistered(&self, _missed: u64) {
        let [of_64, of_32] = self.right.each_ref().map(Count::get);
        let others = self.others.get();
        pr_info!("{of_64} of 64 bits, {of_32} of 32 bits, {others} others\n");
    }
}

pub(super) fn attack(_case: &[u8]) -> Result<Kept> {
    let options = entry::Options::default().partial();
    one(EntrySet::with_options(
        &kprobes::syscall!(all "getpriority"),
        options,
        Reads::default(),
    ))
}
