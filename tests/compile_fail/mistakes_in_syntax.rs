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
    {
    }
}

kprobes::probes! {
    struct NoType;

    fn f at c"f" (
        _cx,
        a, //~ no rules expected `,`
        b: i32,
    ) {
    }
}

kprobes::probes! {
    struct NoName;

    fn f at c"f" (_cx)
        -> Result<i32> //~ no rules expected `<`
    {
    }
}

kprobes::probes! {
    struct NoParentheses;

    fn f at c"f" (_cx, a: i32)
        when a > 0 //~ no rules expected `a`
        -> _result: i32
    {
    }
}

kprobes::probes! {
    struct NoToken;

    fn f at
        names::F //~ no rules expected `::`
        (_cx)
    {
    }
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
