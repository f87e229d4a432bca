// SPDX-License-Identifier: GPL-2.0
// Each error is at the mistake.

use kernel::prelude::*;

#[allow(dead_code)]
const __LOG_PREFIX: &[u8] = b"short\0";

kprobes::probes! {
    struct Functions;

    fn argument at c"f" (_cx, _a: i32,
        _b: &'static CStr, //~ `&'static core::ffi::CStr` cannot be the type of an argument
        _c: u64) {}

    fn argument_that_is_not_imported at c"f" (_cx,
        _a: UserStr, //~ cannot find type `UserStr`
    ) {}

    fn seventh at c"f" (
        _cx, _a: i32, _b: i32, _c: i32, _d: i32, _e: i32, _f: i32,
        _g: i32, //~ a probe can read at most six arguments
    ) {}

    fn result at c"f" (_cx)
        -> _result: Option<i32> //~ `Option<i32>` cannot be the type of an argument or result
    {}

    fn result_that_is_no_errno at c"f" (_cx)
        -> _result: Result<bool> //~ `Result<bool>` cannot be the type of a result
    {}

    fn condition at c"f" (_cx, a: i32)
        when (a) //~ mismatched types
        -> _result: i32 {}

    fn condition_alone at c"f" (_cx, a: i32)
        when (a + 1) //~ mismatched types
    {}

    fn result_at_entry entry c"f" (_cx)
        -> _result: i32 //~ an entry probe has no result
    {}

    fn duration_alone at c"f" (_cx)
        -> _result: i32, ns
    {
        let _: u32 = ns; //~ mismatched types
    }

    fn offset_at_entry entry c"f"
        + 4 //~ an entry probe cannot have an offset
        (_cx) {}

    fn offset at c"f"
        + 4 //~ a return probe cannot have an offset
        (_cx) -> _result: i32 {}

    fn no_context //~ the first parameter must be the context
        at c"f" (_a: u64) {}

    fn no_parameter //~ the first parameter must be the context
        entry c"f" () {}

    fn target at
        "f" //~ mismatched types
        (_cx) {}

    fn body at c"f" (cx, a: i32) {
        pr_info!(
            "{} {} {}\n",
            b, //~ cannot find value `b`
            cx.name(), //~ no method named `name` found
            a,
        );
        let (_path,): (usize,) = cx.syscall_args()?; //~ the `?` operator can only be used
        a //~ mismatched types
    }
}

mod tracepoints {
    // The compiler also reports the tuple of all arguments.
    kprobes::probes! { //~ `&'static str` cannot be the type of an argument or result
        struct Tracepoints;

        fn argument on c"t" (_cx,
            _a: &'static str, //~ `&'static str` cannot be the type of an argument or result
        ) {}

        fn sixth on c"t" (
            _cx, _a: i32, _b: i32, _c: i32, _d: i32, _e: i32,
            _f: i32, //~ a tracepoint handler can read at most five arguments
        ) {}

        fn result on c"t" (_cx)
            -> _result: i32 //~ a tracepoint has no result
        {}

        fn offset on c"t"
            + 4 //~ a tracepoint cannot have an offset
            (_cx) {}
    }
}

mod state {
    use kprobes::CountMap;

    kprobes::probes! { //~ the trait bound `u32: View` is not satisfied
        struct State;

        let counts: CountMap<u32> = CountMap::new(10)?;
        let hidden: u32 = 5;

        fn count at c"f" (_cx) {
            let _moved = *counts; //~ cannot move out of
        }
    }
}

mod type_of_state {
    kprobes::probes! {
        struct State;

        let unknown: Unknown = 5; //~ cannot find type `Unknown`

        fn first at c"f" (_cx) {}

        fn second at c"f" (_cx) {}
    }
}

mod system_call {
    kprobes::probes! { //~ use `cx.syscall_args()`
        struct Module;

        fn kill at c"__x64_sys_kill" (_cx, _pid: i32, _sig: i32) {}
        // No error without typed arguments, nor for this other function.
        fn right at c"__x64_sys_kill" (cx) {
            let _ = cx.syscall_args::<(i32, i32)>();
        }
        fn other at c"__x64_system" (_cx, _pid: i32) {}
        fn by_name at syscall!("kill") (_cx, _pid: i32, _sig: i32) when (_sig == 9) {}
    }
}
