// SPDX-License-Identifier: GPL-2.0
// error: the parameter type `impl Fn(usize) -> usize` may not live long enough
// The arguments are read during the hit, also by a type of the user's.

use kernel::prelude::*;
use kprobes::FromWords;

pub struct Later(pub KBox<dyn Fn(usize) -> usize>);

impl FromWords for Later {
    const COUNT: usize = 1;

    fn from_registers(register: impl Fn(usize) -> usize) -> Self {
        match KBox::new(register, GFP_ATOMIC) {
            Ok(register) => Later(register),
            Err(_) => loop {},
        }
    }
}
