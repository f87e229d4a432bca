// SPDX-License-Identifier: GPL-2.0

//! What is meant by a symbol that is not there.
//!
//! A module cannot search the kernel's symbols, but ask for one: of those that the
//! name may stand for, those are named that can be probed.

use crate::report;
use kernel::{
    fmt,
    prelude::*,
    str::CString, //
};
use kprobes::Target;

/// Functions that were renamed, and since when.
const RENAMED: [(&str, &CStr, &str); 3] = [
    ("_do_fork", c"kernel_clone", "its name since Linux 5.10"),
    ("do_fork", c"kernel_clone", "its name since Linux 5.10"),
    (
        "sys_open",
        c"do_sys_openat2",
        "which all forms of open() call",
    ),
];

/// Suffixes that the compiler gives to a function that it changes.
const CHANGED: [&str; 4] = [".isra.0", ".constprop.0", ".part.0", ".isra.0.constprop.0"];

const SYSTEM_CALL: &str = if cfg!(CONFIG_ARM64) {
    "__arm64_sys_"
} else if cfg!(CONFIG_RISCV) {
    "__riscv_sys_"
} else {
    "__x64_sys_"
};

/// Logs what `symbol` may stand for, if that is there.
pub(crate) fn give(symbol: &str) {
    let found = |name: &CStr| Target::symbol(name).check().is_ok();
    let tell = |name: fmt::Arguments<'_>, why| {
        if let Ok(name) = CString::try_from_fmt(name) {
            // The symbol itself is there if it is the offset that is not.
            if name.to_bytes() != symbol.as_bytes() && found(&name) {
                report::hint(&name, why);
            }
        }
    };
    for (old, new, why) in RENAMED {
        if old == symbol && found(new) {
            report::hint(new, why);
        }
    }
    for prefix in [
        "sys_",
        "SyS_",
        "__se_sys_",
        "__do_sys_",
        "__x64_sys_",
        "__arm64_sys_",
        "__riscv_sys_",
        "",
    ] {
        if let Some(name) = symbol.strip_prefix(prefix) {
            tell(fmt!("{SYSTEM_CALL}{name}"), "the system call's entry here");
            break;
        }
    }
    for suffix in CHANGED {
        tell(
            fmt!("{symbol}{suffix}"),
            "the function as the compiler has changed it",
        );
    }
}
