// SPDX-License-Identifier: GPL-2.0
// This one compiles: the attributes that an event's struct and fields can have, and as many fields
// as a line prints, or more, of which it prints one. The mistakes of the other programs differ from
// it in one word.

kprobes::trace_event! {
    /// With all attributes that there are.
    #[allow(dead_code)]
    #[expect(non_camel_case_types, reason = "it is C's name")]
    struct with_attributes = "test:with_attributes" {
        /// A field.
        #[allow(non_snake_case)]
        A: u8,
    }
}

kprobes::trace_event! {
    struct MostPrinted = "test:most_printed" {
        a0: u8, a1: u8, a2: u8, a3: u8, a4: u8, a5: u8, a6: u8, a7: u8, a8: u8, a9: u8,
        b0: u8, b1: u8, b2: u8, b3: u8, b4: u8, b5: u8, b6: u8, b7: u8, b8: u8, b9: u8,
        c0: u8, c1: u8, c2: u8, c3: u8, c4: u8, c5: u8, c6: u8, c7: u8, c8: u8, c9: u8,
        d0: u8, d1: u8, d2: u8, d3: u8, d4: u8, d5: u8, d6: u8, d7: u8, d8: u8, d9: u8,
        e0: u8, e1: u8, e2: u8, e3: u8, e4: u8, e5: u8, e6: u8, e7: u8, e8: u8, e9: u8,
        f0: u8, f1: u8, f2: u8, f3: u8, f4: u8, f5: u8, f6: u8, f7: u8, f8: u8, f9: u8,
        g0: u8, g1: u8, last_of_those_that_a_line_prints: u8,
    }
}

kprobes::trace_event! {
    struct NotPrinted = "test:not_printed" as "{g3}" {
        a0: u8, a1: u8, a2: u8, a3: u8, a4: u8, a5: u8, a6: u8, a7: u8, a8: u8, a9: u8,
        b0: u8, b1: u8, b2: u8, b3: u8, b4: u8, b5: u8, b6: u8, b7: u8, b8: u8, b9: u8,
        c0: u8, c1: u8, c2: u8, c3: u8, c4: u8, c5: u8, c6: u8, c7: u8, c8: u8, c9: u8,
        d0: u8, d1: u8, d2: u8, d3: u8, d4: u8, d5: u8, d6: u8, d7: u8, d8: u8, d9: u8,
        e0: u8, e1: u8, e2: u8, e3: u8, e4: u8, e5: u8, e6: u8, e7: u8, e8: u8, e9: u8,
        f0: u8, f1: u8, f2: u8, f3: u8, f4: u8, f5: u8, f6: u8, f7: u8, f8: u8, f9: u8,
        g0: u8, g1: u8, g2: u8, g3: u8,
    }
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

kprobes::trace_event! {
    /// Sixty fields with names of sixteen letters, as long a line as it gets in practice.
    struct LongNames = "test:long_names" {
        field_number_a00: u64, field_number_a01: u64, field_number_a02: u64, field_number_a03: u64,
        field_number_a04: u64, field_number_a05: u64, field_number_a06: u64, field_number_a07: u64,
        field_number_a08: u64, field_number_a09: u64, field_number_a10: u64, field_number_a11: u64,
        field_number_b00: u64, field_number_b01: u64, field_number_b02: u64, field_number_b03: u64,
        field_number_b04: u64, field_number_b05: u64, field_number_b06: u64, field_number_b07: u64,
        field_number_b08: u64, field_number_b09: u64, field_number_b10: u64, field_number_b11: u64,
        field_number_c00: u64, field_number_c01: u64, field_number_c02: u64, field_number_c03: u64,
        field_number_c04: u64, field_number_c05: u64, field_number_c06: u64, field_number_c07: u64,
        field_number_c08: u64, field_number_c09: u64, field_number_c10: u64, field_number_c11: u64,
        field_number_d00: u64, field_number_d01: u64, field_number_d02: u64, field_number_d03: u64,
        field_number_d04: u64, field_number_d05: u64, field_number_d06: u64, field_number_d07: u64,
        field_number_d08: u64, field_number_d09: u64, field_number_d10: u64, field_number_d11: u64,
        field_number_e00: u64, field_number_e01: u64, field_number_e02: u64, field_number_e03: u64,
        field_number_e04: u64, field_number_e05: u64, field_number_e06: u64, field_number_e07: u64,
        field_number_e08: u64, field_number_e09: u64, field_number_e10: u64, field_number_e11: u64,
    }
}

kprobes::per_cpu_counts! {
    /// With attributes.
    #[allow(dead_code)]
    static COUNTS: 2;
}
