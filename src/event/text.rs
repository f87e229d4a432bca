// SPDX-License-Identifier: GPL-2.0

//! Texts that the compiler makes: the names of an event, and how a record is printed.

use super::field::{
    Field,
    Kind, //
};
use crate::bindings;
use kernel::prelude::*;

/// A text of up to `N` bytes, with zeroes after it.
pub struct Text<const N: usize> {
    /// The text, and then zeroes.
    pub bytes: [u8; N],
    /// How long the text is.
    pub len: usize,
}

impl<const N: usize> Text<N> {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    pub(super) const fn push(&mut self, byte: u8) {
        assert!(
            self.len + 1 < N,
            "trace_event!: the print format is too long"
        );
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    pub(super) const fn push_until_nul(&mut self, bytes: &[u8]) {
        let mut n = 0;
        while n < bytes.len() && bytes[n] != 0 {
            self.push(bytes[n]);
            n += 1;
        }
    }

    pub(super) const fn push_number(&mut self, number: usize) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        self.push(b'0' + (number % 10) as u8);
    }

    /// Copies the text and the zero after it.
    pub const fn exact<const LEN: usize>(&self) -> [u8; LEN] {
        assert!(LEN == self.len + 1);
        let mut bytes = [0; LEN];
        let mut n = 0;
        while n < self.len {
            bytes[n] = self.bytes[n];
            n += 1;
        }
        bytes
    }
}

/// A field of a record, for the texts and the C structs.
#[derive(Clone, Copy)]
pub struct Described<'a> {
    pub(super) name: &'a str,
    pub(super) ty: &'static [u8],
    pub(super) kind: Kind,
    pub(super) signed: bool,
    pub(super) offset: usize,
    pub(super) align: usize,
    pub(super) size: usize,
    pub(super) count: usize,
}

impl Described<'static> {
    /// Describes a field whose name ends with a NUL, at that offset of the record.
    pub const fn of<F: Field>(name: &'static str, offset: usize) -> Self {
        assert!(size_of::<F::Stored>() == F::SIZE * F::COUNT);
        assert!(F::COUNT > 0, "trace_event!: an array of nothing");
        assert!(
            !same(name, 0, b"common_"),
            "trace_event!: names that begin with `common_` are the kernel's"
        );
        // bpftrace makes a C struct of the fields.
        assert!(
            !same(name, 0, b"r#") && !is_c_keyword(name),
            "trace_event!: a field cannot be called by a keyword of Rust or C"
        );
        Self {
            name,
            ty: F::TYPE,
            kind: F::KIND,
            signed: F::SIGNED,
            offset,
            align: align_of::<F::Stored>(),
            size: F::SIZE,
            count: F::COUNT,
        }
    }
}

impl Described<'_> {
    /// The field for the kernel's `struct trace_event_fields`.
    #[inline]
    pub(super) const fn c_field(&self) -> bindings::kprobes_event_field {
        let array = matches!(self.kind, Kind::Array | Kind::Chars);
        bindings::kprobes_event_field {
            type_: self.ty.as_ptr().cast(),
            name: self.name.as_ptr().cast(),
            size: (self.size * self.count) as c_int,
            align: self.align as c_int,
            is_signed: self.signed as c_uint,
            // FILTER_OTHER: the kernel looks at the type.
            filter_type: 0,
            len: if array { self.count as c_int } else { 0 },
        }
    }

    /// How C prints the field, which, if it is a string, can be `max` long.
    #[inline]
    pub(super) const fn c_show(&self, max: u16) -> bindings::kprobes_event_show {
        bindings::kprobes_event_show {
            kind: self.kind.c(),
            size: self.size as u8,
            offset: self.offset as u16,
            count: self.count as u16,
            max,
        }
    }
}

/// Whether a name, which ends with a NUL, is a keyword of C.
#[inline]
pub(super) const fn is_c_keyword(name: &str) -> bool {
    const KEYWORDS: [&str; 37] = [
        "asm\0",
        "auto\0",
        "bool\0",
        "break\0",
        "case\0",
        "char\0",
        "const\0",
        "continue\0",
        "default\0",
        "do\0",
        "double\0",
        "else\0",
        "enum\0",
        "extern\0",
        "float\0",
        "for\0",
        "goto\0",
        "if\0",
        "inline\0",
        "int\0",
        "long\0",
        "register\0",
        "restrict\0",
        "return\0",
        "short\0",
        "signed\0",
        "sizeof\0",
        "static\0",
        "struct\0",
        "switch\0",
        "typedef\0",
        "typeof\0",
        "union\0",
        "unsigned\0",
        "void\0",
        "volatile\0",
        "while\0",
    ];
    let mut n = 0;
    while n < KEYWORDS.len() {
        if name.len() == KEYWORDS[n].len() && same(name, 0, KEYWORDS[n].as_bytes()) {
            return true;
        }
        n += 1;
    }
    false
}

/// Returns whether `text` has `other` at `from`.
#[inline]
const fn same(text: &str, from: usize, other: &[u8]) -> bool {
    let text = text.as_bytes();
    let mut n = 0;
    while n < other.len() {
        if from + n >= text.len() || text[from + n] != other[n] {
            return false;
        }
        n += 1;
    }
    true
}

/// What `events/` of tracefs has beside the systems, the kernel's own system, and the name that
/// stands for a forgotten `#define`.
pub(super) const SYSTEMS_OF_THE_KERNEL: [&str; 5] = [
    "ftrace",
    "TRACE_SYSTEM",
    "enable",
    "header_page",
    "header_event",
];

/// What the folder of a system has beside the events, and the event of a module that makes
/// others.
pub(super) const NAMES_OF_THE_KERNEL: [&str; 3] = ["enable", "filter", "kprobes_at_run_time"];

/// Splits `SYSTEM:NAME` into two C strings, and returns where the second starts.
pub const fn names<const LEN: usize>(full: &str) -> ([u8; LEN], usize) {
    let from = full.as_bytes();
    assert!(LEN == from.len() + 1);
    let mut bytes = [0; LEN];
    let mut name = 0;
    let mut n = 0;
    while n < from.len() {
        match from[n] {
            b':' => {
                assert!(name == 0, "trace_event!: the name is \"SYSTEM:EVENT\"");
                name = n + 1;
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => bytes[n] = from[n],
            _ => panic!("trace_event!: a name consists of letters, digits and `_`"),
        }
        n += 1;
    }
    assert!(
        name > 1 && name < from.len(),
        "trace_event!: the name is \"SYSTEM:EVENT\""
    );
    let mut n = 0;
    while n < SYSTEMS_OF_THE_KERNEL.len() {
        let system = SYSTEMS_OF_THE_KERNEL[n].as_bytes();
        assert!(
            !(name == system.len() + 1 && same(full, 0, system)),
            "trace_event!: the kernel has that name of a system for itself"
        );
        n += 1;
    }
    n = 0;
    while n < NAMES_OF_THE_KERNEL.len() {
        let other = NAMES_OF_THE_KERNEL[n].as_bytes();
        assert!(
            !(full.len() == name + other.len() && same(full, name, other)),
            "trace_event!: the kernel has that name of an event for itself"
        );
        n += 1;
    }
    (bytes, name)
}

/// What a record is printed as, for `kprobes_event::line`: 1 is followed by the
/// number of a field.
///
/// In `format`, if there is one, a field is `{name}`, and `{{` is a brace.
pub const fn line<const N: usize>(fields: &[Described<'_>], format: Option<&str>) -> Text<N> {
    let mut line = Text::new();
    assert!(fields.len() < 128, "trace_event!: at most 127 fields");
    let Some(format) = format else {
        let mut n = 0;
        while n < fields.len() {
            if n > 0 {
                line.push(b' ');
            }
            line.push_until_nul(fields[n].name.as_bytes());
            line.push(b'=');
            line.push(1);
            line.push(n as u8 + 1);
            n += 1;
        }
        return line;
    };
    let bytes = format.as_bytes();
    let mut n = 0;
    while n < bytes.len() {
        let byte = bytes[n];
        assert!(
            byte >= b' ' && byte <= b'~',
            "trace_event!: the print format is printable ASCII"
        );
        n += 1;
        if byte != b'{' && byte != b'}' {
            line.push(byte);
            continue;
        }
        if n < bytes.len() && bytes[n] == byte {
            line.push(byte);
            n += 1;
            continue;
        }
        assert!(byte == b'{', "trace_event!: a brace without its partner");
        let mut field = 0;
        loop {
            assert!(
                field < fields.len(),
                "trace_event!: the print format names a field that there is not"
            );
            // The name, and a brace in place of its NUL.
            let name = fields[field].name.as_bytes();
            let end = n + name.len() - 1;
            if end < bytes.len()
                && bytes[end] == b'}'
                && same(format, n, name.split_at(name.len() - 1).0)
            {
                line.push(1);
                line.push(field as u8 + 1);
                n = end + 1;
                break;
            }
            field += 1;
        }
    }
    line
}

/// The same for tools, as `TP_printk()` would have it: the `print fmt` of the file
/// `format`.
pub const fn print_fmt<const N: usize>(fields: &[Described<'_>], line: &[u8]) -> Text<N> {
    let mut text = Text::new();
    text.push(b'"');
    let mut n = 0;
    while n < line.len() && line[n] != 0 {
        match line[n] {
            1 => {
                n += 1;
                let field = &fields[line[n] as usize - 1];
                text.push_until_nul(match (field.kind, field.size) {
                    (Kind::Unsigned, 8) => b"%llu",
                    (Kind::Unsigned, _) => b"%u",
                    (Kind::Signed, 8) => b"%lld",
                    (Kind::Signed, 4) => b"%d",
                    // libtraceevent would print -1 as 65535.
                    (Kind::Signed, 2) => b"%hd",
                    (Kind::Signed, _) => b"%hhd",
                    (Kind::Hex, 8) => b"0x%llx",
                    (Kind::Hex, _) => b"0x%x",
                    (Kind::Pointer, _) => b"%p",
                    (Kind::Symbol, _) => b"%pS",
                    (Kind::Chars | Kind::String | Kind::Array, _) => b"%s",
                });
            }
            b'%' => text.push_until_nul(b"%%"),
            byte @ (b'"' | b'\\') => {
                text.push(b'\\');
                text.push(byte);
            }
            byte => text.push(byte),
        }
        n += 1;
    }
    text.push(b'"');

    n = 0;
    while n < line.len() && line[n] != 0 {
        if line[n] == 1 {
            n += 1;
            let field = &fields[line[n] as usize - 1];
            text.push_until_nul(match field.kind {
                Kind::String => b", __get_str(",
                Kind::Array => b", __print_array(REC->",
                Kind::Symbol => b", (void *)REC->",
                _ => b", REC->",
            });
            text.push_until_nul(field.name.as_bytes());
            match field.kind {
                Kind::String => text.push(b')'),
                Kind::Array => {
                    text.push_until_nul(b", ");
                    text.push_number(field.count);
                    text.push_until_nul(b", ");
                    text.push_number(field.size);
                    text.push(b')');
                }
                _ => {}
            }
        }
        n += 1;
    }
    text
}
