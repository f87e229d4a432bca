// SPDX-License-Identifier: GPL-2.0

//! Tests of the `probes=` language, which run on the host: the parser needs no
//! kernel.

#[allow(dead_code)]
#[path = "../rust_kprobe/definition.rs"]
mod definition;

use definition::{parse, split, Kind, Mistake, MAX_SYMBOL};

fn accepts(text: &str, kind: Kind, name: &str, symbol: &str, normal: &str) {
    let parsed = parse(text.as_bytes()).expect(text);
    assert_eq!(parsed.kind, kind, "{text}");
    assert_eq!(parsed.name().to_string(), name, "{text}");
    assert_eq!(parsed.symbol, symbol, "{text}");
    // The column is that of the symbol.
    assert!(
        text[parsed.symbol_column - 1..].starts_with(symbol),
        "{text}"
    );
    assert_eq!(parsed.to_string(), normal);
    assert_eq!(parse(normal.as_bytes()).expect(normal).to_string(), normal);
}

fn refuses(text: &[u8], column: usize, reason: &str) {
    match parse(text) {
        Ok(parsed) => panic!("{text:?} gives {parsed:?}"),
        Err(m) => {
            assert_eq!(
                m.column,
                column,
                "{:?}: {m:?}",
                String::from_utf8_lossy(text)
            );
            assert!(m.reason.contains(reason), "{m:?}");
        }
    }
}

const P: Kind = Kind::Probe { offset: 0 };
const R: Kind = Kind::Return { max_active: 0 };

#[test]
fn accepts_what_tracefs_users_write() {
    accepts("p f", P, "p_f_0", "f", "p f");
    accepts(
        "p:open do_sys_openat2",
        P,
        "open",
        "do_sys_openat2",
        "p:open do_sys_openat2",
    );
    accepts(
        "r:opened\tdo_sys_openat2",
        R,
        "opened",
        "do_sys_openat2",
        "r:opened do_sys_openat2",
    );
    accepts("p,f", P, "p_f_0", "f", "p f");
    accepts("p:x,  f", P, "x", "f", "p:x f");
    accepts(
        "p veth:veth_xmit",
        P,
        "p_veth_veth_xmit_0",
        "veth:veth_xmit",
        "p veth:veth_xmit",
    );
    accepts("p f.isra.0", P, "p_f_isra_0_0", "f.isra.0", "p f.isra.0");
}

/// Like `snprintf(buf, 64, "%c_%s_%ld", ...)` and `sanitize_event_name()`.
#[test]
fn makes_the_names_of_tracefs() {
    let name = |text: &str| parse(text.as_bytes()).expect(text).name().to_string();
    assert_eq!(name("p a:b.c.0+0x10"), "p_a_b_c_0_16");
    assert_eq!(name("r2 a:b.c.0"), "r_a_b_c_0_0");
    assert_eq!(name("p f+4294967295"), "p_f_4294967295");
    assert_eq!(name("p f+1000"), "p_f_1000");
    assert_eq!(name("p f$"), "p_f$_0");
    assert_eq!(
        name(&format!("p {}", "x".repeat(59))),
        format!("p_{}_0", "x".repeat(59))
    );
    assert_eq!(
        name(&format!("p {}+12", "x".repeat(59))),
        format!("p_{}_1", "x".repeat(59))
    );
    assert_eq!(
        name(&format!("p {}", "x".repeat(70))),
        format!("p_{}", "x".repeat(61))
    );
}

#[test]
fn accepts_offsets() {
    accepts(
        "p f+16",
        Kind::Probe { offset: 16 },
        "p_f_16",
        "f",
        "p f+0x10",
    );
    accepts(
        "p f+0x10",
        Kind::Probe { offset: 16 },
        "p_f_16",
        "f",
        "p f+0x10",
    );
    accepts("p f+0", P, "p_f_0", "f", "p f");
    let most = u32::MAX;
    accepts(
        &format!("p f+{most}"),
        Kind::Probe { offset: most },
        &format!("p_f_{most}"),
        "f",
        "p f+0xffffffff",
    );
}

#[test]
fn accepts_numbers_of_calls() {
    accepts("r1 f", Kind::Return { max_active: 1 }, "r_f_0", "f", "r1 f");
    accepts(
        "r4096:x f",
        Kind::Return { max_active: 4096 },
        "x",
        "f",
        "r4096:x f",
    );
}

#[test]
fn refuses_what_is_no_definition() {
    refuses(b"", 1, "no definition");
    refuses(b"x f", 1, "begins with p or r");
    refuses(b"P f", 1, "begins with p or r");
    refuses(b"\xff\xfe", 1, "begins with p or r");
    refuses(b"p", 2, "no symbol");
    refuses(b"p:x", 4, "no symbol");
    refuses(b"pf", 2, "must follow");
    refuses(b"p f g", 5, "nothing may follow");
}

#[test]
fn refuses_bad_numbers() {
    refuses(b"p4 f", 2, "only r");
    refuses(b"r0 f", 2, "1 to 4096");
    refuses(b"r4097 f", 2, "1 to 4096");
    refuses(b"r99999999999999999999 f", 2, "1 to 4096");
    refuses(b"p f+", 5, "number of bytes");
    refuses(b"p f+0x", 5, "number of bytes");
    refuses(b"p f+g", 5, "number of bytes");
    refuses(b"p f+4294967296", 5, "number of bytes");
    refuses(b"p f+-1", 5, "number of bytes");
    refuses(b"p f++1", 5, "number of bytes");
    refuses(b"p f+1+2", 6, "not a character");
    // tracefs reads these as 12 and 8.
    refuses(b"p f+014", 5, "must not begin with 0");
    refuses(b"r010 f", 2, "must not begin with 0");
    refuses(b"p f+00", 5, "must not begin with 0");
    refuses(b"p f+09", 5, "must not begin with 0");
    refuses(b"r01 f", 2, "must not begin with 0");
}

#[test]
fn refuses_an_offset_at_return() {
    refuses(b"r f+4", 4, "no offset");
    refuses(b"r f+0", 4, "no offset");
}

#[test]
fn refuses_bad_names() {
    refuses(b"p: f", 3, "no name");
    refuses(b"p:1a f", 3, "digit");
    refuses(b"p:a-b f", 4, "letters");
    refuses(b"p:\x1b[31m f", 3, "no name");
    refuses(format!("p:{} f", "x".repeat(64)).as_bytes(), 3, "63");
    assert!(parse(format!("p:{} f", "x".repeat(63)).as_bytes()).is_ok());
}

#[test]
fn refuses_bad_symbols() {
    refuses(b"p f/g", 4, "not a character");
    refuses(b"p f\xff", 4, "not a character");
    refuses(b"p f\x00", 4, "not a character");
    refuses(b"p 9f", 3, "digit");
    refuses(b"p :f", 3, "between");
    refuses(b"p m:", 4, "between");
    refuses(b"p a:b:c", 4, "between");
    refuses(
        format!("p {}", "x".repeat(MAX_SYMBOL + 1)).as_bytes(),
        3,
        "511",
    );
    assert!(parse(format!("p {}", "x".repeat(MAX_SYMBOL)).as_bytes()).is_ok());
}

#[test]
fn splits_at_semicolons_and_newlines() {
    let parts: Vec<_> = split(b" p f ;r g\n,p h ").collect();
    assert_eq!(parts, [&b"p f"[..], b"r g", b"p h"]);
    assert_eq!(split(b"").count(), 0);
    assert_eq!(split(b" ;\n, ;").count(), 0);
    assert_eq!(
        split(b";p f;\n; r g;").collect::<Vec<_>>(),
        [&b"p f"[..], b"r g"]
    );
}

#[test]
fn finds_two_of_one_name() {
    let a = parse(b"p:x f").unwrap();
    let same = Err(Mistake {
        column: 1,
        reason: "an earlier definition has the same name",
    });
    assert_eq!(parse(b"r:x g").unwrap().distinct_from(&[a]), same);
    assert_eq!(parse(b"r:y g").unwrap().distinct_from(&[a]), Ok(()));
    let unnamed = parse(b"p f").unwrap();
    assert_eq!(parse(b"p f+0").unwrap().distinct_from(&[unnamed]), same);
    assert_eq!(parse(b"p f+1").unwrap().distinct_from(&[unnamed]), Ok(()));
    assert_eq!(parse(b"r f").unwrap().distinct_from(&[unnamed]), Ok(()));
    // Default names may be the same for different definitions.
    let dotted = parse(b"p f.0").unwrap();
    assert_eq!(parse(b"p f:0").unwrap().distinct_from(&[dotted]), same);
    let [a, b] = ["a", "b"].map(|end| format!("p {}{end}", "x".repeat(61)));
    let long = parse(a.as_bytes()).unwrap();
    assert_eq!(parse(b.as_bytes()).unwrap().distinct_from(&[long]), same);
    // So may a given name and a default name.
    assert_eq!(parse(b"p:p_f_0 g").unwrap().distinct_from(&[unnamed]), same);
    assert_eq!(
        parse(b"p:p_f_1 g").unwrap().distinct_from(&[unnamed]),
        Ok(())
    );
}

#[test]
fn an_entry_probe_is_not_beside_a_kprobe() {
    let all = [
        "p f",
        "p m:f",
        "p g",
        "r g",
        "p h",
        "p h+4",
        "p:other f+0",
        "p:i m:i",
        "r i",
    ];
    let all: Vec<_> = all
        .iter()
        .map(|text| parse(text.as_bytes()).unwrap())
        .collect();
    let may: Vec<_> = all.iter().map(|one| one.may_be_at_entry(&all)).collect();
    assert_eq!(
        may,
        [true, true, false, false, false, false, true, false, false]
    );
}

/// Every string of up to five of these characters either is refused at a column in
/// it or right after it, or prints a normal form that parses to the same definition.
#[test]
fn holds_for_every_short_string() {
    let alphabet = b"pr:f+0x1 ,_\xff";
    let mut text = Vec::new();
    fn all(alphabet: &[u8], text: &mut Vec<u8>, left: usize, seen: &mut (u32, u32)) {
        match parse(text) {
            Ok(parsed) => {
                seen.0 += 1;
                let printed = parsed.to_string();
                let again = parse(printed.as_bytes()).unwrap();
                assert_eq!((again.kind, again.symbol), (parsed.kind, parsed.symbol));
                assert_eq!(again.name(), parsed.name());
            }
            Err(m) => {
                seen.1 += 1;
                assert!((1..=text.len() + 1).contains(&m.column), "{text:?} {m:?}");
            }
        }
        if left > 0 {
            for &b in alphabet {
                text.push(b);
                all(alphabet, text, left - 1, seen);
                text.pop();
            }
        }
    }
    let mut seen = (0, 0);
    all(alphabet, &mut text, 5, &mut seen);
    assert!(seen.0 > 100 && seen.1 > 100_000, "{seen:?}");
}
