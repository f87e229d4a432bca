// SPDX-License-Identifier: GPL-2.0

//! A kretprobe on what is not the entry of a function.

// case offset: refused EINVAL
// case assembly: refused EINVAL
// case not_traced: refused EINVAL
// case own_rust: refused EINVAL
// case set: refused EINVAL
// case null: refused EINVAL

#![forbid(unsafe_code)]

use super::{just, Kept, Nop, PLACE};
use kernel::prelude::*;
use kprobes::{kprobe, Kretprobe, KretprobeSet, Target};

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let target = match case {
        b"offset" => Target::symbol(c"kernel_clone").offset(64),
        b"assembly" => Target::symbol(c"__switch_to_asm"),
        b"not_traced" => Target::symbol(c"__schedule"),
        b"own_rust" => Target::address(<Nop as kprobe::Handler>::pre as *const () as usize),
        b"set" => {
            let targets = [PLACE, PLACE, Target::symbol(c"__switch_to_asm"), PLACE];
            return just(KBox::pin_init(
                KretprobeSet::new(&targets, 0, Nop),
                GFP_KERNEL,
            )?);
        }
        b"null" => Target::address(0),
        _ => return Err(ENOTTY),
    };
    just(KBox::pin_init(Kretprobe::new(target, Nop), GFP_KERNEL)?)
}
