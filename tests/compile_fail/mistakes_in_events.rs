// SPDX-License-Identifier: GPL-2.0
// Each error is where the mistake is.

kprobes::trace_event! {
    struct NoName { //~ no rules expected `{`
        a: u8,
    }
}

kprobes::trace_event! {
    struct NoFields = "test:no_fields" {} //~ no rules expected `}`
}
