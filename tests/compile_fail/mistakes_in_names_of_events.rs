// SPDX-License-Identifier: GPL-2.0
// What the compiler evaluates: each error is at the event.

kprobes::trace_event! { //~ the name is "SYSTEM:EVENT"
    struct NoSystem = "no_system" {
        a: u8,
    }
}

kprobes::trace_event! { //~ a name consists of letters, digits and `_`
    struct NoLetters = "test:no-letters" {
        a: u8,
    }
}

kprobes::trace_event! { //~ a field cannot be called by a keyword
    struct Keyword = "test:keyword" {
        signed: u8,
    }
}

kprobes::trace_event! { //~ are the kernel's
    struct Common = "test:common" {
        common_pid: u8,
    }
}

kprobes::trace_event! { //~ the print format names a field that there is not
    struct Format = "test:format" as "{b}" {
        a: u8,
    }
}

kprobes::trace_event! { //~ a brace without its partner
    struct Brace = "test:brace" as "a}" {
        a: u8,
    }
}

kprobes::trace_event! { //~ a record is at most 2048 bytes
    struct Large<'a> = "test:large" {
        a: kprobes::event::Str<'a, 2048>,
    }
}

kprobes::trace_event! { //~ the kernel has that name of a system for itself
    struct System = "TRACE_SYSTEM:event" {
        a: u8,
    }
}

kprobes::trace_event! { //~ the kernel has that name of an event for itself
    struct Name = "test:filter" {
        a: u8,
    }
}
