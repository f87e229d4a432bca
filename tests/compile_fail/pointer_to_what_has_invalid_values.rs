// SPDX-License-Identifier: GPL-2.0
// error: Choice: kernel::transmute::FromBytes` is not satisfied
// Only what any bytes are a value of is read.

use kernel::prelude::*;
use kprobes::nofault::KernelPtr;

#[derive(Clone, Copy)]
pub enum Choice {
    One,
    Other,
}

pub fn read(pointer: KernelPtr<Choice>) -> Result<Choice> {
    pointer.read()
}
