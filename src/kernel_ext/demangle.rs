// SPDX-License-Identifier: GPL-2.0

//! Demangles Rust symbols: `_RNvNtCs1_6kernel3foo3bar` is `kernel::foo::bar`.
//!
//! It knows the "v0" scheme, which the kernel's rustc uses, and omits generic arguments, constants
//! and hashes. It runs in handlers, so it does not allocate and limits its depth.
//!
//! The grammar: <https://doc.rust-lang.org/rustc/symbol-mangling/v0.html>.

/// More than the symbols of the kernel need.
const MAX_DEPTH: u32 = 16;
const MAX_PARTS: u32 = 500;

/// Calls `out` with each part of the function's path. Returns `None`, possibly after some calls, if
/// the symbol is not that of a Rust function or exceeds the limits.
#[inline]
pub(super) fn demangle(symbol: &[u8], out: &mut dyn FnMut(&str)) -> Option<()> {
    Reader {
        text: symbol.strip_prefix(b"_R")?,
        at: 0,
        depth: 0,
        parts: 0,
        out,
        quiet: false,
    }
    .path()
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
    parts: u32,
    out: &'a mut dyn FnMut(&str),
    quiet: bool,
}

impl Reader<'_> {
    #[inline]
    fn print(&mut self, text: &str) {
        if !self.quiet {
            (self.out)(text);
        }
    }

    /// Reads a part that may be nested.
    #[inline]
    fn part(&mut self, read: fn(&mut Self) -> Option<()>) -> Option<()> {
        self.depth += 1;
        self.parts += 1;
        if self.depth > MAX_DEPTH || self.parts > MAX_PARTS {
            return None;
        }
        read(self)?;
        self.depth -= 1;
        Some(())
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// Reads a base-62 number.
    #[inline]
    fn number(&mut self) -> Option<usize> {
        let mut number = 0_usize;
        if self.eat(b'_') {
            return Some(0);
        }
        loop {
            let digit = match self.next()? {
                b'_' => return number.checked_add(1),
                digit @ b'0'..=b'9' => digit - b'0',
                digit @ b'a'..=b'z' => digit - b'a' + 10,
                digit @ b'A'..=b'Z' => digit - b'A' + 36,
                _ => return None,
            };
            number = number.checked_mul(62)?.checked_add(digit.into())?;
        }
    }

    /// Reads a name and the disambiguator before it.
    #[inline]
    fn name(&mut self) -> Option<()> {
        if self.eat(b's') {
            self.number()?;
        }
        self.eat(b'u');
        let mut len = 0_usize;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            len = len.checked_mul(10)?.checked_add((digit - b'0').into())?;
            self.at += 1;
        }
        self.eat(b'_');
        let name = self.text.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        self.print(match name {
            [] => "{closure}",
            name => core::str::from_utf8(name).ok()?,
        });
        Some(())
    }

    /// Reads without output.
    #[inline]
    fn skip(&mut self, read: fn(&mut Self) -> Option<()>) -> Option<()> {
        let quiet = core::mem::replace(&mut self.quiet, true);
        read(self)?;
        self.quiet = quiet;
        Some(())
    }

    #[inline]
    fn until_end(&mut self, read: fn(&mut Self) -> Option<()>) -> Option<()> {
        while !self.eat(b'E') {
            read(self)?;
        }
        Some(())
    }

    /// Follows a backref, a position in the symbol.
    #[inline]
    fn backref(&mut self, read: fn(&mut Self) -> Option<()>) -> Option<()> {
        let to = self.number()?;
        let after = core::mem::replace(&mut self.at, to);
        self.part(read)?;
        self.at = after;
        Some(())
    }

    #[inline]
    fn path(&mut self) -> Option<()> {
        let tag = self.next()?;
        match tag {
            b'C' => self.name()?,
            b'N' => {
                self.next()?;
                self.part(Self::path)?;
                self.print("::");
                self.name()?;
            }
            b'M' | b'X' | b'Y' => {
                if tag != b'Y' {
                    // The path of the `impl`.
                    self.skip(|this| {
                        if this.eat(b's') {
                            this.number()?;
                        }
                        this.part(Self::path)
                    })?;
                }
                self.print("<");
                self.part(Self::ty)?;
                if tag != b'M' {
                    self.print(" as ");
                    self.part(Self::path)?;
                }
                self.print(">");
            }
            b'I' => {
                self.part(Self::path)?;
                self.skip(|this| this.until_end(Self::argument))?;
            }
            b'B' => self.backref(Self::path)?,
            _ => return None,
        }
        Some(())
    }

    /// Reads a generic argument.
    #[inline]
    fn argument(&mut self) -> Option<()> {
        match self.text.get(self.at)? {
            b'L' => {
                self.at += 1;
                self.number().map(drop)
            }
            b'K' => {
                self.at += 1;
                self.constant()
            }
            _ => self.part(Self::ty),
        }
    }

    #[inline]
    fn constant(&mut self) -> Option<()> {
        match self.next()? {
            b'p' => Some(()),
            b'B' => self.backref(Self::constant),
            _ => {
                while self.next()? != b'_' {}
                Some(())
            }
        }
    }

    #[inline]
    fn ty(&mut self) -> Option<()> {
        const BASIC: [&str; 26] = [
            "i8", "bool", "char", "f64", "str", "f32", "", "u8", "isize", "usize", "", "i32",
            "u32", "i128", "u128", "_", "", "", "i16", "u16", "()", "...", "", "i64", "u64", "!",
        ];
        match self.next()? {
            basic @ b'a'..=b'z' => self.print(BASIC[usize::from(basic - b'a')]),
            b'B' => self.backref(Self::ty)?,
            tag @ (b'A' | b'S') => {
                self.print("[");
                self.part(Self::ty)?;
                if tag == b'A' {
                    self.constant()?;
                }
                self.print("]");
            }
            b'T' => {
                self.print("(");
                self.until_end(|this| {
                    this.part(Self::ty)?;
                    this.print(",");
                    Some(())
                })?;
                self.print(")");
            }
            tag @ (b'R' | b'Q' | b'P' | b'O') => {
                self.print(match tag {
                    b'P' => "*const ",
                    b'O' => "*mut ",
                    _ => "&",
                });
                if self.eat(b'L') {
                    self.number()?;
                }
                self.part(Self::ty)?;
            }
            // Function pointers and trait objects are rare.
            b'F' | b'D' => return None,
            _ => {
                self.at -= 1;
                self.part(Self::path)?;
            }
        }
        Some(())
    }
}
