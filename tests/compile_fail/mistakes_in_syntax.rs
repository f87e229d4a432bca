// SPDX-License-Identifier: GPL-2.0
// Each error is at the mistake.

kprobes::probes! {
    fn no_struct at c"f" (_cx) {} //~ no rules expected keyword `fn`
}

kprobes::string_param! {
    no_description //~ unexpected end of macro invocation
}

kprobes::per_cpu_counts! {
    static NO_NUMBER; //~ no rules expected `;`
}

kprobes::trace_event! {
    struct NoFields = "test:no_fields" {} //~ no rules expected `}`
}

// The attribute would remove the record's struct, and the other struct would take its place.
kprobes::trace_event! { //~ only the attributes `doc`, `allow` and `expect` are supported
    #[cfg(any())]
    struct Replaced<'a> = "test:replaced" {
        text: kprobes::event::Str<'a, 16>,
    }
}

struct Replaced;

// The attribute would remove a field of the struct but not of the record; `Deref` would hide that.
kprobes::trace_event! { //~ only the attributes `doc`, `allow` and `expect` are supported
    struct Hidden = "test:hidden" {
        #[cfg(any())]
        a: u8,
        b: u8,
    }
}

kprobes::trace_event! { //~ only the attributes `doc`, `allow` and `expect` are supported
    #[cfg_attr(all(), derive(Debug))]
    struct Derived = "test:derived" { a: u8 }
}

kprobes::per_cpu_counts! { //~ only the attributes `doc`, `allow` and `expect` are supported
    #[cfg(any())]
    static COUNTS: 2;
}
