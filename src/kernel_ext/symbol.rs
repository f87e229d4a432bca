// SPDX-License-Identifier: GPL-2.0

//! Kernel addresses, shown as those may see them who read the log.
//!
//! C header: [`include/linux/kallsyms.h`](srctree/include/linux/kallsyms.h)

use crate::bindings;
use kernel::{
    fmt,
    prelude::*,
    str::BStr, //
};

/// An address of the kernel's.
///
/// It is displayed as `printk()` displays `%p`: hashed, so that a log tells
/// nobody where the kernel lies, unless the machine was booted with
/// `no_hash_pointers`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Address(usize);

impl Address {
    /// That address, to be shown.
    #[inline]
    pub const fn new(addr: usize) -> Self {
        Self(addr)
    }

    /// The address itself. Do not print it.
    #[inline]
    pub const fn as_usize(self) -> usize {
        self.0
    }

    /// The symbol that it lies in, and how far in. Where it lies in none, as that
    /// of a probe whose module has left, its location is the address, hashed.
    ///
    /// Context: any; C function `sprint_symbol()`.
    #[inline]
    pub fn location(self) -> Location {
        let mut buf = [0; Location::SIZE];
        // SAFETY: `buf` has the `KSYM_SYMBOL_LEN` bytes that the function may write.
        let len = unsafe { bindings::sprint_symbol(buf.as_mut_ptr().cast(), self.0) };
        let len = usize::try_from(len).unwrap_or(0).min(Location::SIZE);
        // No symbol begins with a digit: that is the address as it is.
        let len = if buf[0] == b'0' {
            self.hash(&mut buf)
        } else {
            len
        };
        Location { buf, len }
    }

    /// Writes it into `buf` as `%p` does; how many bytes that took.
    #[inline]
    fn hash(self, buf: &mut [u8]) -> usize {
        // SAFETY: `buf` has the length that is given; `%p` takes the one pointer that follows.
        let len = unsafe {
            bindings::scnprintf(
                buf.as_mut_ptr().cast(),
                buf.len(),
                c"%p".as_char_ptr(),
                self.0 as *const c_void,
            )
        };
        usize::try_from(len).unwrap_or(0)
    }
}

impl fmt::Display for Address {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Room for 16 digits, or for "(____ptrval____)" early in the boot, and a NUL.
        let mut buf = [0u8; 24];
        let len = self.hash(&mut buf);
        fmt::Display::fmt(BStr::from_bytes(buf.get(..len).unwrap_or_default()), f)
    }
}

/// A place in the kernel's text by name: `kernel_clone+0x4/0x370 [module]`.
///
/// Displayed without the size of the function: `kernel_clone+0x4 [module]`.
#[derive(Clone, Copy)]
pub struct Location {
    buf: [u8; Self::SIZE],
    len: usize,
}

impl Location {
    const SIZE: usize = bindings::KPROBES_KSYM_SYMBOL_LEN;
}

impl fmt::Display for Location {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.buf.get(..self.len).unwrap_or_default();
        let (place, rest) = match text.iter().position(|&b| b == b'/') {
            Some(slash) => text.split_at(slash),
            None => (text, &[][..]),
        };
        fmt::Display::fmt(BStr::from_bytes(place), f)?;
        match rest.iter().position(|&b| b == b' ') {
            Some(space) => fmt::Display::fmt(BStr::from_bytes(&rest[space..]), f),
            None => Ok(()),
        }
    }
}
