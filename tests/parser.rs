// SPDX-License-Identifier: GPL-2.0

//! Tests of the parsers of `probes=` and of Rust symbols, which run on the host.

#[allow(dead_code)]
#[path = "../rust_kprobe/definition.rs"]
mod definition;

#[path = "../src/kernel_ext/demangle.rs"]
mod demangle;

use definition::{parse, split, Mistake, MAX_SYMBOL};

/// The definition is accepted, and its normal form is `normal`.
fn accepts(text: &str, normal: &str) {
    let parsed = parse(text.as_bytes()).expect(text);
    assert_eq!(parsed.to_string(), normal);
    // The column is that of the symbol.
    assert!(text[parsed.symbol_column - 1..].starts_with(parsed.symbol));
}

fn refuses(text: &[u8], column: usize, reason: &str) {
    let mistake = parse(text).expect_err(reason);
    assert_eq!(mistake.column, column, "{text:?}: {mistake:?}");
    assert!(mistake.reason.contains(reason), "{mistake:?}");
}

#[test]
fn definitions_in_tracefs_syntax_are_accepted() {
    accepts("p f", "p f");
    accepts("p:open do_sys_openat2", "p:open do_sys_openat2");
    accepts("r:opened\tdo_sys_openat2", "r:opened do_sys_openat2");
    accepts("p,f", "p f");
    accepts("p:x,  f", "p:x f");
    accepts("p veth:veth_xmit", "p veth:veth_xmit");
    accepts("p f.isra.0", "p f.isra.0");
    accepts("p f+16", "p f+0x10");
    accepts("p f+0x10", "p f+0x10");
    accepts("p f+0", "p f");
    accepts("p f+4294967295", "p f+0xffffffff");
    accepts("r1 f", "r1 f");
    accepts("r4096:x f", "r4096:x f");
    accepts("r2 f+0x10", "r2 f+0x10");
    for of in [
        "u8", "u16", "u32", "u64", "s8", "s64", "x8", "x64", "bool", "ptr", "string",
    ] {
        accepts(&format!("r f,$retval:{of}"), &format!("r f $retval:{of}"));
    }
    accepts("p:x 0xffffffff81234567", "p:x 0xffffffff81234567");
    accepts("r9:x 0X0", "r9:x 0X0");
    let address = parse(b"r:x 0xffffffff81234567").map(|parsed| parsed.address);
    assert_eq!(address, Ok(Some(0xffff_ffff_8123_4567)));
    accepts("pw:x m:f+4", "pw:x m:f+0x4");
    accepts("rw,m:f", "rw m:f");
    accepts("r8w m:f", "r8w m:f");
}

/// Like `snprintf(buf, 64, "%c_%s_%ld", ...)` and `sanitize_event_name()`.
#[test]
fn default_names_are_those_of_tracefs() {
    let name = |text: &str| parse(text.as_bytes()).expect(text).name().to_string();
    let x = |n| "x".repeat(n);
    assert_eq!(name("p:x f"), "x");
    assert_eq!(name("p a:b.c.0+0x10"), "p_a_b_c_0_16");
    assert_eq!(name("r2 a:b.c.0"), "r_a_b_c_0_0");
    assert_eq!(name("r f+0x10"), "r_f_16");
    assert_eq!(name("p f+4294967295"), "p_f_4294967295");
    assert_eq!(name("p f$"), "p_f$_0");
    assert_eq!(name(&format!("p {}", x(59))), format!("p_{}_0", x(59)));
    assert_eq!(name(&format!("p {}+12", x(59))), format!("p_{}_1", x(59)));
    assert_eq!(name(&format!("p {}", x(70))), format!("p_{}", x(61)));
}

#[test]
fn invalid_definitions_are_refused() {
    refuses(b"", 1, "no definition");
    refuses(b"x f", 1, "must begin with p or r");
    refuses(b"P f", 1, "must begin with p or r");
    refuses(b"\xff\xfe", 1, "must begin with p or r");
    refuses(b"p", 2, "no symbol");
    refuses(b"p:x", 4, "no symbol");
    refuses(b"pf", 2, "expected");
    refuses(b"r8w:x f", 3, "needs MODULE:SYMBOL");
    refuses(b"rw8 m:f", 3, "expected");
    refuses(b"p f g", 5, "unexpected text");
    refuses(b"p f $retval:u8", 5, "unexpected text");
    refuses(b"r f g", 5, "only $retval:TYPE");
    refuses(b"r f $retval", 5, "only $retval:TYPE");
    for of in ["", "u", "u7", "s128", "x64x", "int", "Bool", "é"] {
        refuses(format!("r f $retval:{of}").as_bytes(), 13, "a type is");
    }
    refuses(b"r f $retval:u8 g", 16, "unexpected text");
}

#[test]
fn invalid_numbers_are_refused() {
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
    refuses(b"p f+1+2", 6, "invalid character");
    // tracefs parses these as 12 and 8.
    refuses(b"p f+014", 5, "octal");
    refuses(b"r010 f", 2, "octal");
    refuses(b"p f+00", 5, "octal");
    refuses(b"p f+09", 5, "octal");
    refuses(b"r01 f", 2, "octal");
    refuses(b"r f+014", 5, "octal");
    refuses(b"p:x 0x10+4", 9, "offset");
    refuses(b"p 0x10", 3, "needs a name");
    for address in "9f 10 0x 0xg 0x1f.0 0x1:f 0x10000000000000000".split(' ') {
        refuses(format!("p:x {address}").as_bytes(), 5, "0x and up to 16");
    }
}

#[test]
fn invalid_names_are_refused() {
    refuses(b"p: f", 3, "no name");
    refuses(b"p:1a f", 3, "digit");
    refuses(b"p:a-b f", 4, "letters");
    refuses(b"p:\x1b[31m f", 3, "no name");
    refuses(format!("p:{} f", "x".repeat(64)).as_bytes(), 3, "63");
    assert!(parse(format!("p:{} f", "x".repeat(63)).as_bytes()).is_ok());
}

#[test]
fn invalid_symbols_are_refused() {
    refuses(b"p f/g", 4, "invalid character");
    refuses(b"p f\xff", 4, "invalid character");
    refuses(b"p f\x00", 4, "invalid character");
    refuses(b"p :f", 3, "separate");
    refuses(b"p m:", 4, "separate");
    refuses(b"p a:b:c", 4, "separate");
    let long = format!("p {}", "x".repeat(MAX_SYMBOL + 1));
    refuses(long.as_bytes(), 3, "511");
    assert!(parse(format!("p {}", "x".repeat(MAX_SYMBOL)).as_bytes()).is_ok());
}

#[test]
fn definitions_are_split_at_semicolons_and_newlines() {
    assert!(split(b" p f ;r g\n,p h ").eq([&b"p f"[..], b"r g", b"p h"]));
    assert_eq!(split(b"").count(), 0);
    assert_eq!(split(b" ;\n, ;").count(), 0);
    assert!(split(b";p f;\n; r g;").eq([&b"p f"[..], b"r g"]));
}

#[test]
fn duplicate_names_are_found() {
    let same = Err(Mistake {
        column: 1,
        reason: "an earlier definition has the same name",
    });
    let x = "x".repeat(61);
    for (one, other, wanted) in [
        ("p:x f", "r:x g", same),
        ("p:x f", "r:y g", Ok(())),
        ("p f", "p f+0", same),
        ("p f", "p f+1", Ok(())),
        ("p f", "r f", Ok(())),
        // Different definitions may have the same default name.
        ("p f.0", "p f:0", same),
        (&format!("p {x}a"), &format!("p {x}b"), same),
        // So may a given name and a default name.
        ("p f", "p:p_f_0 g", same),
        ("p f", "p:p_f_1 g", Ok(())),
    ] {
        let [one, other] = [one, other].map(|text| parse(text.as_bytes()).unwrap());
        assert_eq!(other.distinct_from(&[one]), wanted, "{other}");
    }
}

#[test]
fn a_function_with_a_kprobe_has_no_entry_probe() {
    let text = b"p f; p m:f; p g; r g; p h; p h+4; p:other f+0; p:i m:i; r i";
    let all: Vec<_> = split(text).map(|one| parse(one).unwrap()).collect();
    let may = all.iter().filter(|one| one.may_be_at_entry(&all));
    assert!(may.map(|one| one.symbol).eq(["f", "m:f", "f"]));
}

fn name(symbol: &[u8]) -> Option<String> {
    let mut name = String::new();
    demangle::demangle(symbol, &mut |part| name += part).map(|()| name)
}

#[test]
fn mangled_rust_names_are_demangled() {
    for (symbol, path) in [
        ("_RNvNtCs1EKtwoKEMO2_6kernel12module_param13PARAM_OPS_U16",
         "kernel::module_param::PARAM_OPS_U16"),
        ("_RNvMs_NtCs1peUGmbrgHn_4core3fmtNtB4_17FormattingOptions8get_fill",
         "<core::fmt::FormattingOptions>::get_fill"),
        ("_RNvMsf_NtNtNtCs1peUGmbrgHn_4core3fmt3num3impy4__fmt", "<u64>::_fmt"),
        ("_RNvXsa_NtCs1EKtwoKEMO2_6kernel3strNtB5_12RawFormatterNtNtCs1peUGmbrgHn_4core3fmt5Write\
          9write_str", "<kernel::str::RawFormatter as core::fmt::Write>::write_str"),
        ("_RNvXsr_NtCs1EKtwoKEMO2_6kernel9auxiliaryINtNtNtB7_4sync4aref4ARefNtB5_6DeviceEINtNtCs\
          1peUGmbrgHn_4core7convert4FromRIB11_NtNtB7_6device5BoundEE4from",
         "<kernel::sync::aref::ARef as core::convert::From>::from"),
        ("_RNCNvCs1_1a1b0", "a::b::{closure}"),
        ("_RNvYATjRShEj3_Cs1_1a1f", "<[(usize,&[u8],)] as a>::f"),
    ] {
        assert_eq!(name(symbol.as_bytes()).as_deref(), Some(path), "{symbol}");
        // A truncated or changed symbol may be another one, but the parser must terminate.
        for at in 0..symbol.len() {
            let _ = name(&symbol.as_bytes()[..at]);
            for byte in [b'B', b'_', b'9', b'I', 0xff] {
                let mut other = symbol.as_bytes().to_vec();
                other[at] = byte;
                let _ = name(&other);
            }
        }
    }
    for symbol in [
        "vfs_read",
        "_R",
        "_RB_",
        "_RNvB_1a",
        "_RC99999999999999999999a",
    ] {
        assert_eq!(name(symbol.as_bytes()), None, "{symbol}");
    }
    assert_eq!(name(&[&b"_R"[..], &b"Nv".repeat(4096)].concat()), None);
}
