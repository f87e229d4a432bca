// SPDX-License-Identifier: GPL-2.0
// The compiler evaluates these checks. Each error but the last is at the event.
// error: trace_event!: a record must not exceed 2048 bytes

kprobes::trace_event! { //~ the name must be "SYSTEM:EVENT"
    struct NoSystem = "no_system" { a: u8 }
}

kprobes::trace_event! { //~ a name must consist of letters, digits and `_`
    struct NoLetters = "test:no-letters" { a: u8 }
}

kprobes::trace_event! { //~ a field name must not be a keyword
    struct Keyword = "test:keyword" { signed: u8 }
}

kprobes::trace_event! { //~ the kernel reserves names
    struct Common = "test:common" { common_pid: u8 }
}

kprobes::trace_event! { //~ the print format names an unknown field
    struct Format = "test:format" as "{b}" { a: u8 }
}

kprobes::trace_event! { //~ an unmatched brace
    struct Brace = "test:brace" as "a}" { a: u8 }
}

kprobes::trace_event! { //~ a letter or digit cannot follow a pointer
    struct Dereferences = "test:dereferences" as "{a}is" { a: kprobes::nofault::KernelPtr }
}

// A NUL in the name of a system call is an error of the compiler, not a panic.
pub fn syscall_with_nul() -> kprobes::Target<'static> {
    kprobes::syscall!("execve\0at") //~ a name must not contain a NUL byte
}

kprobes::trace_event! { //~ a record must not exceed 2048 bytes
    struct Large<'a> = "test:large" { a: kprobes::event::Str<'a, 2048> }
}

kprobes::trace_event! { //~ a record must not exceed 2048 bytes
    struct Overflows<'a> = "test:overflows" { a: kprobes::event::Str<'a, { usize::MAX - 10 }> }
}

kprobes::trace_event! { //~ the kernel reserves this system name
    struct System = "TRACE_SYSTEM:event" { a: u8 }
}

kprobes::trace_event! { //~ the kernel reserves this event name
    struct Name = "test:filter" { a: u8 }
}

kprobes::trace_event! { //~ a print format must not exceed 63 fields
    struct TooManyPrinted = "test:too_many_printed" {
        a0: u8, a1: u8, a2: u8, a3: u8, a4: u8, a5: u8, a6: u8, a7: u8, a8: u8, a9: u8,
        b0: u8, b1: u8, b2: u8, b3: u8, b4: u8, b5: u8, b6: u8, b7: u8, b8: u8, b9: u8,
        c0: u8, c1: u8, c2: u8, c3: u8, c4: u8, c5: u8, c6: u8, c7: u8, c8: u8, c9: u8,
        d0: u8, d1: u8, d2: u8, d3: u8, d4: u8, d5: u8, d6: u8, d7: u8, d8: u8, d9: u8,
        e0: u8, e1: u8, e2: u8, e3: u8, e4: u8, e5: u8, e6: u8, e7: u8, e8: u8, e9: u8,
        f0: u8, f1: u8, f2: u8, f3: u8, f4: u8, f5: u8, f6: u8, f7: u8, f8: u8, f9: u8,
        g0: u8, g1: u8, g2: u8, g3: u8,
    }
}

kprobes::trace_event! { //~ a print format must not exceed 63 fields
    struct PrintedAgain = "test:printed_again" as "{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}\
{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}\
{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}" { a: u8 }
}

kprobes::trace_event! { //~ a name exceeds 255 characters
    struct Long = "test:\
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" { a: u8 }
}

kprobes::trace_event! {
    struct Array = "test:array" { a: [u64; (1 << 61) + 1] }
}
