// SPDX-License-Identifier: GPL-2.0
// error: trace_event!: a record is at most 2048 bytes large

kprobes::trace_event! {
    struct Array = "test:array" {
        a: [u64; (1 << 61) + 1],
    }
}
