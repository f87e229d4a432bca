// SPDX-License-Identifier: GPL-2.0
// This program compiles: all attributes that an event's struct and fields can have, and as many
// fields as a line prints, or more, of which it prints one. The owner of a file is the module
// itself. The programs that must not compile differ from it in one word.

pub use crate::LocalModule as Owner;

kprobes::trace_event! {
    /// With all attributes that are allowed.
    #[allow(dead_code)]
    #[expect(non_camel_case_types, reason = "it is C's name")]
    struct with_attributes = "test:with_attributes" {
        /// A field.
        #[allow(non_snake_case)]
        A: u8,
    }
}

macro_rules! bytes {
    ($name:ident = $event:literal $(as $format:literal)?: $($field:ident)*) => {
        kprobes::trace_event! {
            struct $name = $event $(as $format)? { $($field: u8,)* }
        }
    };
}

bytes! {
    MostPrinted = "test:most_printed":
        a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 c0 c1 c2 c3 c4 c5 c6 c7 c8 c9
        d0 d1 d2 d3 d4 d5 d6 d7 d8 d9 e0 e1 e2 e3 e4 e5 e6 e7 e8 e9 f0 f1 f2 f3 f4 f5 f6 f7 f8 f9
        g0 g1 last_of_those_that_a_line_prints
}

bytes! {
    NotPrinted = "test:not_printed" as "{g3}":
        a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 c0 c1 c2 c3 c4 c5 c6 c7 c8 c9
        d0 d1 d2 d3 d4 d5 d6 d7 d8 d9 e0 e1 e2 e3 e4 e5 e6 e7 e8 e9 f0 f1 f2 f3 f4 f5 f6 f7 f8 f9
        g0 g1 g2 g3
}

kprobes::trace_event! {
    struct Pointers = "test:pointers" as "{a} is{b}{a}, {c}is" {
        a: kprobes::nofault::KernelPtr,
        b: u8,
        c: kprobes::event::Symbol,
    }
}

kprobes::trace_event! {
    struct Largest<'a> = "test:largest" as "" {
        a: [u64; 127],
        b: kprobes::event::Str<'a, 1015>,
    }
}

kprobes::per_cpu_counts! {
    /// With attributes.
    #[allow(dead_code)]
    static COUNTS: 2;
}
