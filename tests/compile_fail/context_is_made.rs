// SPDX-License-Identifier: GPL-2.0
// error: cannot construct `Context<'_, _>` with struct literal syntax due to private fields
// Only the library knows that the registers are those of a hit.

use kprobes::Context;

pub fn make() {
    let _ = Context {};
}
