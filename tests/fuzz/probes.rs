// SPDX-License-Identifier: GPL-2.0

//! Fuzzes the parser of `probes=`: it must accept exactly the grammar, print the same definition,
//! and report errors at a column of the text.

#![no_main]

#[allow(dead_code)]
#[path = "../../rust_kprobe/definition.rs"]
mod definition;

use definition::{parse, split, Definition, Kind, MAX_ACTIVE, MAX_NAME, MAX_SYMBOL};

/// A definition, split by the second parser.
#[derive(Debug, PartialEq)]
struct Meant {
    kind: Kind,
    waits: bool,
    name: String,
    symbol: String,
    offset: u32,
    result: Option<String>,
}

fn is_word(text: &str, more: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || more.contains(c);
    !text.is_empty() && text.chars().all(good) && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_octal(number: &str) -> bool {
    number.len() > 1 && number.starts_with('0') && number.bytes().nth(1).unwrap().is_ascii_digit()
}

/// A second, independent parser, which splits the definition into words.
fn meant(text: &[u8]) -> Option<Meant> {
    let text = std::str::from_utf8(text).ok()?;
    let words: Vec<&str> = text
        .split([' ', '\t', '\r', ','])
        .filter(|word| !word.is_empty())
        .collect();
    let (head, place, result) = match words[..] {
        [head, place] => (head, place, None),
        [head, place, result] if head.starts_with('r') => {
            let result = result.strip_prefix("$retval:")?;
            let types = "u8 u16 u32 u64 s8 s16 s32 s64 x8 x16 x32 x64 bool ptr string";
            types.split(' ').find(|&of| of == result)?;
            (head, place, Some(result.to_string()))
        }
        _ => return None,
    };

    let (kind, name) = match head.split_once(':') {
        Some((kind, name)) => (kind, Some(name)),
        None => (head, None),
    };
    if name.is_some_and(|name| !is_word(name, "") || name.len() > MAX_NAME) {
        return None;
    }

    let (symbol, offset) = match place.split_once('+') {
        Some((symbol, offset)) => (symbol, Some(offset)),
        None => (place, None),
    };
    let good = match symbol.split_once(':') {
        // After the colon, the name may begin with a digit.
        Some((module, rest)) => {
            is_word(module, ".$") && is_word(&format!("_{rest}"), ".$") && !rest.is_empty()
        }
        None => is_word(symbol, ".$"),
    };
    let digits = symbol.strip_prefix("0x").or(symbol.strip_prefix("0X"));
    let address = digits.is_some_and(|digits| usize::from_str_radix(digits, 16).is_ok())
        && name.is_some()
        && offset.is_none();
    if (!good && !address) || symbol.len() > MAX_SYMBOL {
        return None;
    }
    let offset = match offset {
        None => 0,
        Some(text) if text.contains(['+', '-']) || is_octal(text) => return None,
        Some(text) => match text.get(..2) {
            Some("0x" | "0X") => u32::from_str_radix(&text[2..], 16).ok()?,
            _ => text.parse().ok()?,
        },
    };

    let (kind, waits) = match kind.strip_suffix('w') {
        Some(_) if !symbol.contains(':') => return None,
        Some(kind) => (kind, true),
        None => (kind, false),
    };
    let kind = match kind.split_at_checked(1)? {
        ("p", "") => Kind::Probe,
        ("r", calls) => {
            let max_active = match calls {
                "" => 0,
                _ if !calls.chars().all(|c| c.is_ascii_digit()) || is_octal(calls) => return None,
                _ => calls.parse().ok()?,
            };
            if max_active > MAX_ACTIVE || (max_active == 0 && !calls.is_empty()) {
                return None;
            }
            Kind::Return { max_active }
        }
        _ => return None,
    };
    let made = format!("{}_{symbol}_{offset}", &head[..1]);
    let made = made[..made.len().min(MAX_NAME)].replace([':', '.'], "_");
    let name = name.map_or(made, str::to_string);
    Some(Meant {
        kind,
        waits,
        name,
        symbol: symbol.to_string(),
        offset,
        result,
    })
}

fn what(parsed: &Definition<'_>) -> Meant {
    Meant {
        kind: parsed.kind,
        waits: parsed.waits,
        name: parsed.name().to_string(),
        symbol: parsed.symbol.to_string(),
        offset: parsed.offset,
        result: parsed.result.map(|of| of.to_string()),
    }
}

#[no_mangle]
extern "C" fn LLVMFuzzerTestOneInput(data: *const u8, size: usize) -> i32 {
    // SAFETY: By libFuzzer's interface, `data` has `size` bytes. Without any, it may be NULL.
    let probes = match size {
        0 => &[],
        _ => unsafe { std::slice::from_raw_parts(data, size) },
    };
    let mut before: Vec<Definition<'_>> = Vec::new();
    for text in split(probes) {
        match parse(text) {
            Ok(parsed) => {
                assert_eq!(Some(what(&parsed)), meant(text), "accepted");
                assert!(text[parsed.symbol_column - 1..].starts_with(parsed.symbol.as_bytes()));
                // The normal form has the same meaning, and is its own normal form.
                let normal = parsed.to_string();
                let again = parse(normal.as_bytes()).expect(&normal);
                assert_eq!(what(&again), what(&parsed));
                assert_eq!(again.to_string(), normal);
                let name = parsed.name().to_string();
                let twice = before.iter().any(|b| b.name().to_string() == name);
                assert_eq!(parsed.distinct_from(&before).is_err(), twice);
                before.push(parsed);
            }
            Err(mistake) => {
                assert_eq!(meant(text), None, "refused: {mistake:?}");
                assert!((1..=text.len() + 1).contains(&mistake.column));
                assert!(!mistake.reason.is_empty());
            }
        }
    }
    0
}
