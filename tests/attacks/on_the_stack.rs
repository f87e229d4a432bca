// SPDX-License-Identifier: GPL-2.0

//! What is registered from the stack of a task. A task that ends in a `BUG()`, as
//! every panic does, drops nothing, and its stack is freed.

// case kprobe: refused EINVAL
// case kretprobe: refused EINVAL
// case set: refused EINVAL
// case return_set: refused EINVAL
// case tracepoint: refused EINVAL
// case watch: refused EINVAL
// case panics: refused EINVAL

#![forbid(unsafe_code)]

use super::{Kept, Nop, OTHER, PLACE};
use kernel::prelude::*;
use kprobes::{Kprobe, KprobeSet, Kretprobe, KretprobeSet, ModuleWatch, Tracepoint};
use pin_init::stack_try_pin_init;

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let targets = [PLACE, OTHER];
    match case {
        b"kprobe" => {
            stack_try_pin_init!(let _probe =? Kprobe::new(PLACE, Nop));
        }
        b"kretprobe" => {
            stack_try_pin_init!(let _probe =? Kretprobe::new(PLACE, Nop));
        }
        b"set" => {
            stack_try_pin_init!(let _set =? KprobeSet::new(&targets, Nop));
        }
        b"return_set" => {
            stack_try_pin_init!(let _set =? KretprobeSet::new(&targets, 0, Nop));
        }
        b"tracepoint" => {
            stack_try_pin_init!(let _trace =? Tracepoint::new(c"sched_process_exit", Nop));
        }
        b"watch" => {
            stack_try_pin_init!(let _watch =? ModuleWatch::new(Nop));
        }
        b"panics" => {
            stack_try_pin_init!(let _probe =? Kprobe::new(PLACE, Nop));
            panic!("with a probe on the stack");
        }
        _ => return Err(ENOTTY),
    }
    Ok(Kept::new())
}
