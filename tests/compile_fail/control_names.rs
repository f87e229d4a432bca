// SPDX-License-Identifier: GPL-2.0
// This program compiles: users may define items with the names that the macros use, and with those
// of the prelude and of the crates. (Except `Ok` and `Err`, which pin_init's macro uses.)

#![allow(dead_code, non_camel_case_types, non_snake_case, unused_macros)]

// `module!` declares this.
const __LOG_PREFIX: &[u8] = b"names\0";

// The macros must not use these.
macro_rules! concat {
    ($($any:tt)*) => {
        compile_error!("not core's")
    };
}
macro_rules! stringify {
    ($($any:tt)*) => {
        compile_error!("not core's")
    };
}
macro_rules! cfg {
    ($($any:tt)*) => {
        compile_error!("not core's")
    };
}

/// Parameters with these names. Each would be in a module of its own.
mod parameters {
    macro_rules! parameter {
        ($($module:ident: $name:ident),* $(,)?) => {$(
            pub(crate) mod $module {
                kprobes::string_param!($name, "a name");
            }
        )*};
    }
    parameter! {
        in_ops: OPS, in_param: PARAM, in_modinfo_parm: MODINFO_PARM, in_modinfo_type: MODINFO_TYPE,
        in_parm: PARM, in_type: TYPE, in_bindings: bindings, in_param_: param,
    }
}

mod counts {
    kprobes::per_cpu_counts! { pub(crate) static WORDS: 2; }
    kprobes::per_cpu_counts! { pub(crate) static LEN: 2; }
    kprobes::per_cpu_counts! { pub(crate) static Clone: 2; }
    kprobes::per_cpu_counts! { pub(crate) static Copy: 2; }
}

mod probes {
    mod kernel {}
    mod core {}
    mod kprobes {}
    macro_rules! structs {
        ($($name:ident)*) => { $(struct $name;)* };
    }
    structs! {
        Some None Option Result Error Pin PinInit InPlaceModule ThisModule
        Handler ReturnHandler Context Return Trace Target
    }

    ::kprobes::probes! {
        pub(crate) struct Module;

        fn data at c"f" (wanted, args: u64) { let _ = (wanted.cpu(), args); }
        fn wanted at c"f" (data, regs: u64) when (regs > 1) -> ret: u64 {
            let _ = (data.cpu(), regs, ret);
        }
        fn this at c"f" (cx, slot: u64) { let _ = (cx.cpu(), slot); }
        fn module at c"f" + 4 (_module) {}
        fn target on c"kmalloc" (cx, index: u64) { let _ = (cx.cpu(), index); }
    }
}

pub fn use_all() -> u64 {
    counts::WORDS.inc(0);
    counts::LEN.inc(0);
    counts::Clone.inc(0);
    counts::Copy.get(1)
}

pub const TARGET: kprobes::Target<'static> = kprobes::syscall!("execve");
