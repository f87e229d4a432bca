// SPDX-License-Identifier: GPL-2.0
// error: `buf` does not live long enough
// A string that was read lies in the buffer, and nowhere else.

use kernel::{prelude::*, str::BStr};
use kprobes::nofault::KernelStr;

pub fn read(string: KernelStr) -> Result<usize> {
    let text: &BStr;
    {
        let mut buf = [0; 16];
        text = string.read(&mut buf)?;
    }
    Ok(text.len())
}
