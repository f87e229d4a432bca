// SPDX-License-Identifier: GPL-2.0

//! Kernel addresses, displayed hashed, like `%p`, or as symbols.
//!
//! C header: [`include/linux/kallsyms.h`](srctree/include/linux/kallsyms.h)
//!
//! `{:p}` of `kernel::fmt`, which hashes from Linux 7.3 on, would replace [`Address`]. A wrapper of
//! `sprint_symbol()` would replace [`Location`].

use super::demangle::demangle;
use crate::prelude::*;

display_by_core!([] Address, [] Location, [] Symbol<'_>);

/// A kernel address.
///
/// It is displayed hashed, like `%p`, unless the kernel was booted with `no_hash_pointers`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Address(usize);

impl Address {
    /// Creates an `Address`.
    #[inline]
    pub const fn new(addr: usize) -> Self {
        Self(addr)
    }

    /// Returns the address itself. Do not print it.
    #[inline]
    pub const fn as_usize(self) -> usize {
        self.0
    }

    /// Returns the address as symbol and offset. An address without a symbol, such as that of a
    /// gone probe, is displayed hashed.
    ///
    /// Context: any. C function: `sprint_symbol()`, by `%pS`.
    #[inline]
    pub fn location(self) -> Location {
        self.print(c"%pS")
    }

    /// As [`location`](Address::location), for a return address: displays the symbol of the call
    /// before it, which may be the last instruction of a function.
    #[inline]
    pub(crate) fn call(self) -> Location {
        self.print(c"%pB")
    }

    #[inline]
    fn print(self, format: &CStr) -> Location {
        let mut buf = [0; Location::SIZE];
        let mut len = self.write(&mut buf, format);
        // No symbol begins with a digit: this is the raw address.
        if buf[0] == b'0' {
            len = self.write(&mut buf, c"%p");
        }
        Location { buf, len }
    }

    /// Writes the address into `buf` by `%p`, `%pS` or `%pB`, and returns the length.
    #[inline]
    fn write(self, buf: &mut [u8], format: &CStr) -> usize {
        // SAFETY: `buf` has this length, and the formats take one pointer.
        let len = unsafe {
            bindings::scnprintf(
                buf.as_mut_ptr().cast(),
                buf.len(),
                format.as_char_ptr(),
                self.0 as *const c_void,
            )
        };
        usize::try_from(len).unwrap_or(0)
    }
}

impl fmt::Display for Address {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Room for 16 digits, or "(____ptrval____)" during early boot, and a NUL.
        let mut buf = [0u8; 24];
        let len = self.write(&mut buf, c"%p");
        fmt::Display::fmt(BStr::from_bytes(buf.get(..len).unwrap_or_default()), f)
    }
}

/// Where a probe is: symbol and offset, or the name of a tracepoint.
///
/// It is displayed without the size of the function: `kernel_clone+0x4`, or `veth_xmit+0x4 [veth]`.
/// A Rust symbol is displayed as the path of the function, without generic arguments.
#[derive(Clone, Copy)]
pub struct Location {
    buf: [u8; Self::SIZE],
    len: usize,
}

impl Location {
    const SIZE: usize = bindings::KPROBES_KSYM_SYMBOL_LEN;

    /// Returns the location of a tracepoint.
    #[inline]
    pub(crate) fn of_name(name: &CStr) -> Self {
        let mut buf = [0; Self::SIZE];
        let name = name.to_bytes();
        let len = name.len().min(Self::SIZE);
        buf[..len].copy_from_slice(&name[..len]);
        Self { buf, len }
    }

    /// Returns the symbol without the offset: `kernel_clone`, or `veth_xmit [veth]`.
    #[inline]
    pub fn symbol(&self) -> Symbol<'_> {
        Symbol(self)
    }

    /// Writes the text up to the first `end`, and the module.
    #[inline]
    fn write(&self, f: &mut fmt::Formatter<'_>, end: u8) -> fmt::Result {
        let text = self.buf.get(..self.len).unwrap_or_default();
        let (place, rest) = match text.iter().position(|&b| b == end) {
            Some(at) => text.split_at(at),
            None => (text, &[][..]),
        };
        let offset = place.iter().position(|&b| b == b'+');
        let (symbol, offset) = place.split_at(offset.unwrap_or(place.len()));
        write_symbol(symbol, f)?;
        fmt::Display::fmt(BStr::from_bytes(offset), f)?;
        match rest.iter().position(|&b| b == b' ') {
            Some(space) => fmt::Display::fmt(BStr::from_bytes(&rest[space..]), f),
            None => Ok(()),
        }
    }
}

/// Writes the path of a Rust function, or any other symbol unchanged.
#[inline]
fn write_symbol(symbol: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // Without output first, because demangling may fail after some parts.
    if demangle(symbol, &mut |_| {}).is_none() {
        return fmt::Display::fmt(BStr::from_bytes(symbol), f);
    }
    let mut done = Ok(());
    demangle(symbol, &mut |part| {
        done = done.and_then(|()| f.write_str(part))
    });
    done
}

impl fmt::Display for Location {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, b'/')
    }
}

impl core::fmt::Debug for Location {
    #[inline]
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        fmt::Debug::fmt(BStr::from_bytes(&self.buf[..self.len]), f)
    }
}

/// The symbol of a [`Location`].
#[derive(Clone, Copy)]
pub struct Symbol<'a>(&'a Location);

impl fmt::Display for Symbol<'_> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, b'+')
    }
}
