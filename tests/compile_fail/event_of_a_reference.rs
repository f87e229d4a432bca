// SPDX-License-Identifier: GPL-2.0
// error: `&'static str` cannot be a field of a trace event

kprobes::trace_event! {
    struct Reference = "test:reference" {
        a: &'static str,
    }
}
