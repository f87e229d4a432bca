// SPDX-License-Identifier: GPL-2.0

//! Parses the `probes=` parameter.
//!
//! The syntax is a subset of tracefs's (`Documentation/trace/kprobetrace.rst`), with `w` added and
//! `$retval` as the only fetch argument:
//!
//! ```text
//! probes     := [definition] { ";" [definition] }
//! definition := ("p" | "r" [MAXACTIVE]) ["w"] [":" NAME] SPACE [MODULE ":"] SYMBOL ["+" OFFSET]
//!             | ("p" | "r" [MAXACTIVE]) ":" NAME SPACE ADDRESS
//!             | (one of these with "r") SPACE "$retval:" TYPE
//! TYPE       := ("u" | "s" | "x") ("8" | "16" | "32" | "64") | "bool" | "ptr" | "string"
//! SPACE      := one or more of space, tab, ","
//! ```
//!
//! `MAXACTIVE` is decimal, `OFFSET` is decimal or, after `0x`, hexadecimal; a leading zero, which
//! means octal in tracefs, is refused. `ADDRESS` is hexadecimal, after `0x`, and requires a `NAME`,
//! because the default name would put the address into the log. `w` requires a `MODULE`: if that is
//! not loaded, the probe is pending. A newline separates definitions like `;`. The comma replaces
//! the space on command lines that cannot have one, as in the kernel's `kprobe_event=`.
//!
//! This file does not use the kernel crate, so that tests and a fuzzer on the host can include it.
//! It does not allocate, and fails only by returning a [`Mistake`].

use core::fmt;

/// The maximum length of the parameter, in bytes.
pub(crate) const MAX_LEN: usize = 4096;
/// The maximum length of a symbol with its module (`KSYM_NAME_LEN`, less the NUL).
pub(crate) const MAX_SYMBOL: usize = 511;
/// The maximum length of a name (`MAX_EVENT_NAME_LEN` of tracefs, less the NUL).
pub(crate) const MAX_NAME: usize = 63;
/// The maximum of `MAXACTIVE` (`KRETPROBE_MAXACTIVE_MAX` of tracefs).
pub(crate) const MAX_ACTIVE: u16 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Probe,
    Return {
        /// The maximum number of calls in flight; 0 is the kernel's default.
        max_active: u16,
    },
}

/// How to log a function's result. An integer has its width in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Unsigned(u32),
    Signed(u32),
    Hex(u32),
    Bool,
    Pointer,
    Text,
}

impl Type {
    fn parse(text: &str) -> Option<Self> {
        let (of, bits): (fn(u32) -> Self, _) = match text {
            "bool" => return Some(Self::Bool),
            "ptr" => return Some(Self::Pointer),
            "string" => return Some(Self::Text),
            _ => match text.as_bytes().first()? {
                b'u' => (Self::Unsigned, &text[1..]),
                b's' => (Self::Signed, &text[1..]),
                b'x' => (Self::Hex, &text[1..]),
                _ => return None,
            },
        };
        let bits = ["8", "16", "32", "64"].iter().position(|&n| n == bits)?;
        Some(of(8 << bits))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(bits) => write!(f, "u{bits}"),
            Self::Signed(bits) => write!(f, "s{bits}"),
            Self::Hex(bits) => write!(f, "x{bits}"),
            Self::Bool => f.write_str("bool"),
            Self::Pointer => f.write_str("ptr"),
            Self::Text => f.write_str("string"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Definition<'a> {
    pub(crate) kind: Kind,
    /// Whether the probe may be pending.
    pub(crate) waits: bool,
    given_name: Option<&'a str>,
    /// The symbol, or the address as the parameter has it.
    pub(crate) symbol: &'a str,
    pub(crate) address: Option<usize>,
    pub(crate) offset: u32,
    /// The column of the symbol in the definition, from 1.
    pub(crate) symbol_column: usize,
    pub(crate) result: Option<Type>,
}

/// Prints the normal form, which parses to the same definition.
impl fmt::Display for Definition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Probe => f.write_str("p")?,
            Kind::Return { max_active: 0 } => f.write_str("r")?,
            Kind::Return { max_active } => write!(f, "r{max_active}")?,
        }
        if self.waits {
            f.write_str("w")?;
        }
        if let Some(name) = self.given_name {
            write!(f, ":{name}")?;
        }
        write!(f, " {}", self.symbol)?;
        if self.offset != 0 {
            write!(f, "+0x{:x}", self.offset)?;
        }
        self.result.map_or(Ok(()), |of| write!(f, " $retval:{of}"))
    }
}

impl Definition<'_> {
    pub(crate) fn name(&self) -> Name {
        Name::new(self)
    }

    /// Returns whether this definition, one of `all`, can be an entry probe: no definition of the
    /// same function may need a kprobe, which the entry probe would slow down, or be pending.
    pub(crate) fn may_be_at_entry(&self, all: &[Definition<'_>]) -> bool {
        all.iter()
            .filter(|other| other.function() == self.function())
            .all(|other| other.kind == Kind::Probe && other.offset == 0 && !other.waits)
    }

    fn function(&self) -> &str {
        self.symbol
            .split_once(':')
            .map_or(self.symbol, |(_, name)| name)
    }

    /// Fails if one of `others` has the same name.
    pub(crate) fn distinct_from(&self, others: &[Definition<'_>]) -> Result<(), Mistake> {
        match others.iter().any(|other| other.name() == self.name()) {
            true => mistake(0, "an earlier definition has the same name"),
            false => Ok(()),
        }
    }
}

/// The name of a probe. The default is tracefs's: `p_SYMBOL_OFFSET` or `r_SYMBOL_OFFSET`, with `_`
/// for `:` and `.`, truncated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Name {
    bytes: [u8; MAX_NAME],
    len: usize,
}

impl Name {
    fn new(definition: &Definition<'_>) -> Self {
        use fmt::Write;

        let mut name = Self {
            bytes: [0; MAX_NAME],
            len: 0,
        };
        let Definition { symbol, offset, .. } = definition;
        // Writing to a name does not fail.
        let _ = match (definition.given_name, definition.kind) {
            (Some(given), _) => name.write_str(given),
            (None, Kind::Probe) => write!(name, "p_{symbol}_{offset}"),
            (None, _) => write!(name, "r_{symbol}_{offset}"),
        };
        name
    }
}

impl fmt::Write for Name {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let free = self.bytes[self.len..].iter_mut();
        for (to, b) in free.zip(piece.bytes()) {
            *to = match b {
                b':' | b'.' => b'_',
                b => b,
            };
            self.len += 1;
        }
        Ok(())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A definition is ASCII.
        f.write_str(core::str::from_utf8(&self.bytes[..self.len]).unwrap_or(""))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The column in the definition, from 1.
    pub(crate) column: usize,
    pub(crate) reason: &'static str,
}

/// Splits the parameter into definitions, trims them and drops empty ones.
pub(crate) fn split(probes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let pieces = probes.split(|&b| b == b';' || b == b'\n').map(trim);
    pieces.filter(|piece| !piece.is_empty())
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b',')
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !is_space(*first) {
            break;
        }
        text = rest;
    }
    while let [rest @ .., last] = text {
        if !is_space(*last) {
            break;
        }
        text = rest;
    }
    text
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let len = rest.iter().position(|&b| !wanted(b)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// Like `take_while`, but stops at the first byte that is not ASCII.
    fn take_str(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        core::str::from_utf8(self.take_while(|b| b.is_ascii() && wanted(b))).unwrap_or("")
    }

    fn mistake<T>(&self, reason: &'static str) -> Result<T, Mistake> {
        mistake(self.at, reason)
    }
}

fn mistake<T>(at: usize, reason: &'static str) -> Result<T, Mistake> {
    Err(Mistake {
        column: at + 1,
        reason,
    })
}

const OCTAL: &str = "octal numbers are not supported";

/// Returns whether tracefs parses this number as octal.
fn is_octal(digits: &str) -> bool {
    matches!(digits.as_bytes(), [b'0', b'0'..=b'9', ..])
}

fn hex(number: &str) -> Option<&str> {
    number.strip_prefix("0x").or(number.strip_prefix("0X"))
}

pub(crate) fn parse(text: &[u8]) -> Result<Definition<'_>, Mistake> {
    let mut c = Cursor { text, at: 0 };

    let is_return = match c.peek() {
        Some(b'p') => false,
        Some(b'r') => true,
        None => return c.mistake("no definition"),
        Some(_) => return c.mistake("a definition must begin with p or r"),
    };
    c.at += 1;

    let max_active_at = c.at;
    let digits = c.take_str(|b| b.is_ascii_digit());
    let max_active = match digits {
        "" => 0,
        _ if !is_return => return mistake(max_active_at, "only r takes MAXACTIVE"),
        _ if is_octal(digits) => return mistake(max_active_at, OCTAL),
        _ => match digits.parse::<u16>() {
            Ok(n) if n > 0 && n <= MAX_ACTIVE => n,
            _ => return mistake(max_active_at, "MAXACTIVE must be 1 to 4096"),
        },
    };

    let waits_at = c.at;
    let waits = c.eat(b'w');

    let mut given_name = None;
    if c.eat(b':') {
        let at = c.at;
        let text = c.take_str(|b| b.is_ascii_alphanumeric() || b == b'_');
        if text.is_empty() {
            return mistake(at, "no name after ':'");
        }
        if text.as_bytes()[0].is_ascii_digit() {
            return mistake(at, "a name cannot begin with a digit");
        }
        if text.len() > MAX_NAME {
            return mistake(at, "a name has at most 63 characters");
        }
        given_name = Some(text);
    }

    match c.peek() {
        None => return c.mistake("no symbol; quote a value with spaces twice, or write p,SYMBOL"),
        Some(b) if is_space(b) => {}
        Some(_) if given_name.is_some() => return c.mistake("a name has letters, digits and '_'"),
        Some(_) => return c.mistake("expected ':' or a space"),
    }
    c.take_while(is_space);

    let symbol_at = c.at;
    let symbol = c.take_str(|b| b.is_ascii_graphic() && !matches!(b, b',' | b'+'));
    if symbol.is_empty() {
        return c.mistake("no symbol");
    }
    if symbol.len() > MAX_SYMBOL {
        return mistake(symbol_at, "a symbol has at most 511 characters");
    }
    if let Some(bad) = symbol
        .bytes()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$' | b':')))
    {
        return mistake(symbol_at + bad, "invalid character in a symbol");
    }
    let mut address = None;
    if symbol.as_bytes()[0].is_ascii_digit() {
        address = hex(symbol).and_then(|digits| usize::from_str_radix(digits, 16).ok());
        if address.is_none() {
            return mistake(symbol_at, "an address is 0x and up to 16 hex digits");
        } else if given_name.is_none() {
            return mistake(symbol_at, "an address needs a name, as p:NAME");
        }
    }
    if let Some(colon) = symbol.find(':') {
        if colon == 0 || colon + 1 == symbol.len() || symbol[colon + 1..].contains(':') {
            return mistake(symbol_at + colon, "':' must separate MODULE and SYMBOL");
        }
    }

    if waits && !symbol.contains(':') {
        return mistake(waits_at, "w needs MODULE:SYMBOL");
    }

    let mut offset = 0;
    let plus_at = c.at;
    if c.eat(b'+') {
        if address.is_some() {
            return mistake(plus_at, "an address cannot have an offset");
        }
        let at = c.at;
        let digits = c.take_str(|b| b.is_ascii_alphanumeric());
        if is_octal(digits) {
            return mistake(at, OCTAL);
        }
        let number = match hex(digits) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => digits.parse::<u32>(),
        };
        offset = match number {
            Ok(n) => n,
            Err(_) => return mistake(at, "an offset is a decimal or 0x number of bytes"),
        };
    }

    let mut result = None;
    match c.peek() {
        None => {}
        Some(b) if is_space(b) => {
            c.take_while(is_space);
            if !is_return {
                return c.mistake("unexpected text after the symbol");
            }
            let at = c.at;
            let text = c.take_str(|b| !is_space(b));
            let Some(of) = text.strip_prefix("$retval:") else {
                return mistake(at, "only $retval:TYPE can follow the symbol");
            };
            result = Type::parse(of);
            if result.is_none() {
                let at = at + "$retval:".len();
                return mistake(
                    at,
                    "a type is u8 to u64, s8 to s64, x8 to x64, bool, ptr or string",
                );
            }
            c.take_while(is_space);
            if c.peek().is_some() {
                return c.mistake("unexpected text after the type");
            }
        }
        Some(_) => return c.mistake("invalid character in a symbol"),
    }

    Ok(Definition {
        kind: if is_return {
            Kind::Return { max_active }
        } else {
            Kind::Probe
        },
        waits,
        given_name,
        symbol,
        address,
        offset,
        symbol_column: symbol_at + 1,
        result,
    })
}
