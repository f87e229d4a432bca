// SPDX-License-Identifier: GPL-2.0
// error: requires an `unsafe impl` declaration

use kprobes::event::{Event, Record};

struct Mine;

impl Record for Mine {
    const SIZE: usize = 8;
    const MAX_TAIL: usize = 0;
    const PADDED: bool = false;

    fn event() -> &'static Event {
        loop {}
    }

    fn tail(&self) -> usize {
        1000
    }

    unsafe fn store(&self, _to: *mut u8) {}
}
