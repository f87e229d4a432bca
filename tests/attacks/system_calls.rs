// SPDX-License-Identifier: GPL-2.0

//! Arguments of system calls of 64 and of 32 bits, read in the same way.

// case of_64_bits: harmless
// says: CALLS with 0 and 0, 0 refused, 0 others
// case of_32_bits: harmless
// says: 0 with 0 and 0, CALLS refused, 0 others

use super::*;

/// What came of reading the arguments of getpriority(0, 0).
#[derive(Default)]
struct Reads {
    right: Count,
    refused: Count,
    others: Count,
}

#[vtable]
impl entry::Handler for Reads {
    fn entry(&self, cx: &entry::Context<'_>) {
        match cx.syscall_args::<(i32, i32)>() {
            Ok((0, 0)) => self.right.add(1),
            Ok(_) => self.others.add(1),
            Err(_) => self.refused.add(1),
        }
    }

    fn unregistered(&self, _missed: u64) {
        let (right, refused) = (self.right.get(), self.refused.get());
        let others = self.others.get();
        pr_info!("{right} with 0 and 0, {refused} refused, {others} others\n");
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let target = match case {
        b"of_64_bits" => PLACE,
        _ => Target::symbol(c"__ia32_sys_getpriority"),
    };
    one(Entry::new(target, Reads::default()))
}
