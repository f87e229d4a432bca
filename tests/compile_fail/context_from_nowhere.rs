// SPDX-License-Identifier: GPL-2.0
// error: doesn't satisfy `Anywhere: Probed`
// The places where a context comes from are the library's.

use kprobes::Context;

pub enum Anywhere {}

pub fn address(cx: &Context<'_, Anywhere>) -> usize {
    cx.ip()
}
