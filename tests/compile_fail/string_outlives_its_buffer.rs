// SPDX-License-Identifier: GPL-2.0
// error: `buf` does not live long enough
// A string that was read lies in the buffer, and nowhere else.

use kernel::prelude::*;
use kprobes::nofault::{KernelStr, Text};

pub fn read(string: KernelStr) -> Result<usize> {
    let text: Text<'_>;
    {
        let mut buf = [0; 16];
        text = string.read(&mut buf)?;
    }
    Ok(text.as_bytes().len())
}
