// SPDX-License-Identifier: GPL-2.0

//! The names and the print formats of an event, computed at compile time.

use super::{
    field::Kind,
    fields::{
        self,
        Declared,
        Fields, //
    },
    text::{
        has_at,
        Text, //
    }, //
};

/// Checks the name of a field, which must end with a NUL.
#[inline]
pub(super) const fn check_field_name(name: &str) {
    let bytes = name.as_bytes();
    let mut n = 0;
    while bytes[n] != 0 {
        // Other characters have a meaning in `line` or in the kernel's parser of formats.
        assert!(bytes[n].is_ascii_alphanumeric() || bytes[n] == b'_' || bytes[n] == b'#');
        n += 1;
    }
    assert!(n > 0 && n + 1 == bytes.len());
    assert!(n <= 255, "trace_event!: a name exceeds 255 characters");
    assert!(
        !has_at(bytes, 0, b"common_"),
        "trace_event!: the kernel reserves names that begin with `common_`"
    );
    // bpftrace declares a C struct with these fields.
    assert!(
        !has_at(bytes, 0, b"r#") && !is_c_keyword(bytes),
        "trace_event!: a field name must not be a keyword of Rust or C"
    );
}

/// Returns whether a name, which ends with a NUL, is a keyword of C.
#[inline]
const fn is_c_keyword(name: &[u8]) -> bool {
    const KEYWORDS: &[u8] = b"\
        asm auto bool break case char const continue default do double else enum \
        extern float for goto if inline int long register restrict return short \
        signed sizeof static struct switch typedef typeof union unsigned void \
        volatile while ";
    let (mut n, length) = (0, name.len() - 1);
    let mut begins = true;
    while n + length < KEYWORDS.len() {
        let ends = KEYWORDS[n + length] == b' ';
        if begins && ends && has_at(KEYWORDS, n, name.split_at(length).0) {
            return true;
        }
        begins = KEYWORDS[n] == b' ';
        n += 1;
    }
    false
}

/// The kernel's own system, other names in `events/` of tracefs, and the name that the kernel uses
/// for a missing `#define`.
const RESERVED_SYSTEMS: [&str; 5] = [
    "ftrace",
    "TRACE_SYSTEM",
    "enable",
    "header_page",
    "header_event",
];

/// Names of files in the directory of a system.
const RESERVED_EVENTS: [&str; 2] = ["enable", "filter"];

/// Splits `SYSTEM:NAME` into two C strings, and returns the offset of the second.
pub(super) const fn names<D: Declared>() -> (Text<256>, usize) {
    let from = D::NAME.as_bytes();
    let mut text = Text::new();
    let mut name = 0;
    let mut n = 0;
    while n < from.len() {
        match from[n] {
            b':' => {
                assert!(name == 0, "trace_event!: the name must be \"SYSTEM:EVENT\"");
                name = n + 1;
                text.push(0);
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => text.push(from[n]),
            _ => panic!("trace_event!: a name must consist of letters, digits and `_`"),
        }
        n += 1;
    }
    assert!(
        name > 1 && name < from.len(),
        "trace_event!: the name must be \"SYSTEM:EVENT\""
    );
    let mut n = 0;
    while n < RESERVED_SYSTEMS.len() {
        let system = RESERVED_SYSTEMS[n].as_bytes();
        assert!(
            !(name == system.len() + 1 && has_at(from, 0, system)),
            "trace_event!: the kernel reserves this system name"
        );
        n += 1;
    }
    n = 0;
    while n < RESERVED_EVENTS.len() {
        let other = RESERVED_EVENTS[n].as_bytes();
        assert!(
            !(from.len() == name + other.len() && has_at(from, name, other)),
            "trace_event!: the kernel reserves this event name"
        );
        n += 1;
    }
    (text, name)
}

/// The maximum number of fields in a format: the kernel's `test_event_printk()` has a bit for each.
const MAX_PRINTED: usize = 63;

/// The size of the longest `line`, with a NUL.
const MAX_LINE: usize = 8192;

/// Returns the print format for `kprobes_event::line`. In a declaration's format, `{name}` is a
/// field, and `{{` is a brace.
pub(super) const fn line<D: Declared>() -> Text<MAX_LINE> {
    let mut line = Text::new();
    let mut printed = 0;
    let Some(format) = D::FORMAT else {
        while printed < D::NAMES.len() {
            if printed > 0 {
                line.push(b' ');
            }
            line.push_until_nul(D::NAMES[printed].as_bytes());
            line.push(b'=');
            line.push_field(printed);
            printed += 1;
        }
        check_printed(printed);
        return line;
    };
    let bytes = format.as_bytes();
    let mut n = 0;
    while n < bytes.len() {
        let byte = bytes[n];
        assert!(
            byte >= b' ' && byte <= b'~',
            "trace_event!: the print format must be printable ASCII"
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
        assert!(byte == b'{', "trace_event!: an unmatched brace");
        let mut field = 0;
        loop {
            assert!(
                field < D::NAMES.len(),
                "trace_event!: the print format names an unknown field"
            );
            // `name` has a NUL where the format has the closing brace.
            let name = D::NAMES[field].as_bytes();
            let end = n + name.len() - 1;
            if end < bytes.len()
                && bytes[end] == b'}'
                && has_at(bytes, n, name.split_at(name.len() - 1).0)
            {
                line.push_field(field);
                printed += 1;
                n = end + 1;
                break;
            }
            field += 1;
        }
    }
    check_printed(printed);
    line
}

#[inline]
const fn check_printed(printed: usize) {
    assert!(
        printed <= MAX_PRINTED,
        "trace_event!: a print format must not exceed 63 fields; add `as \"FORMAT\"`"
    );
}

/// Returns the print format for tools, as `TP_printk()` would: the `print fmt` of the file
/// `format`. `%`, `"` and `\` take two bytes, and a field with its name at most 300.
pub(super) const fn print_fmt<D: Declared>() -> Text<{ 2 * MAX_LINE + MAX_PRINTED * 300 }> {
    let list = D::Fields::LIST;
    let line = line::<D>().bytes;
    let mut text = Text::new();
    text.push(b'"');
    let mut n = 0;
    while n < line.len() && line[n] != 0 {
        match line[n] {
            1 => {
                n += 1;
                let (field, _) = fields::nth(list, line[n] as usize - 1);
                // The kernel would parse it as a part of `%p`: `%pI` prints an IP address.
                assert!(
                    !matches!(field.kind, Kind::Pointer) || !line[n + 1].is_ascii_alphanumeric(),
                    "trace_event!: a letter or digit cannot follow a pointer in the print format"
                );
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
            let (field, _) = fields::nth(list, line[n] as usize - 1);
            text.push_until_nul(match field.kind {
                Kind::String => b", __get_str(",
                Kind::Array => b", __print_array(REC->",
                Kind::Symbol => b", (void *)REC->",
                _ => b", REC->",
            });
            text.push_until_nul(D::NAMES[line[n] as usize - 1].as_bytes());
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
