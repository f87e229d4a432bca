// SPDX-License-Identifier: GPL-2.0
// error: explicit lifetime required in the type of `cx`
// What a context points at is valid only until the handler returns.

use kernel::prelude::*;
use kernel::sync::SpinLock;
use kprobes::{AtEntry, Context};

#[pin_data]
struct Keeps<'a> {
    #[pin]
    last: SpinLock<Option<&'a Context<'a, AtEntry>>>,
}

impl<'a> Keeps<'a> {
    fn keep(&self, cx: &Context<'_, AtEntry>) {
        *self.last.lock() = Some(cx);
    }
}

pub fn leak<'a>(keeps: &Keeps<'a>, cx: &Context<'_, AtEntry>) {
    keeps.keep(cx);
}
