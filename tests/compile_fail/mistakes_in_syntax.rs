// SPDX-License-Identifier: GPL-2.0
// Each error is where the mistake is.

kprobes::probes! {
    struct NoSemicolon

    fn f at c"f" (_cx) {} //~ no rules expected keyword `fn`
}

kprobes::probes! {
    fn no_struct at c"f" (_cx) {} //~ no rules expected keyword `fn`
}

kprobes::probes! {
    struct NoContext;

    fn f at c"f"
        () //~ no rules expected `)`
    {}
}

kprobes::probes! {
    struct NoType;

    fn f at c"f" (_cx,
        a, //~ no rules expected `,`
        b: i32) {}
}

kprobes::probes! {
    struct NoName;

    fn f at c"f" (_cx)
        -> Result<i32> //~ no rules expected `<`
    {}
}

kprobes::probes! {
    struct NoParentheses;

    fn f at c"f" (_cx, a: i32)
        when a > 0 //~ no rules expected `a`
        -> _result: i32 {}
}

kprobes::probes! {
    struct NoToken;

    fn f at
        names::F //~ no rules expected `::`
        (_cx) {}
}

kprobes::string_param! {
    no_description //~ unexpected end of macro invocation
}

kprobes::string_param!(
    no_literal,
    DESCRIPTION //~ no rules expected `DESCRIPTION`
);

kprobes::per_cpu_counts! {
    static NO_NUMBER; //~ no rules expected `;`
}

pub fn no_quotes() -> kprobes::Target<'static> {
    kprobes::syscall!(execve) //~ no rules expected `execve`
}

kprobes::trace_event! {
    struct NoName { //~ no rules expected `{`
        a: u8,
    }
}

kprobes::trace_event! {
    struct NoFields = "test:no_fields" {} //~ no rules expected `}`
}

// The record's struct would not be there, and this one would take its place.
kprobes::trace_event! { //~ only the attributes `doc`, `allow` and `expect`
    #[cfg(any())]
    struct Replaced<'a> = "test:replaced" {
        text: kprobes::event::Str<'a, 16>,
    }
}

struct Replaced;

// The struct would have another field than the record, and this one's by way of `Deref`.
kprobes::trace_event! { //~ only the attributes `doc`, `allow` and `expect`
    struct Hidden = "test:hidden" {
        #[cfg(any())]
        a: u8,
        b: u8,
    }
}

kprobes::trace_event! { //~ only the attributes `doc`, `allow` and `expect`
    #[cfg_attr(all(), derive(Debug))]
    struct Derived = "test:derived" { a: u8 }
}

kprobes::per_cpu_counts! { //~ only the attributes `doc`, `allow` and `expect`
    #[cfg(any())]
    static COUNTS: 2;
}
