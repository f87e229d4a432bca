// SPDX-License-Identifier: GPL-2.0

//! Differences between kernel versions.
//!
//! `kprobes.mk` sets `kprobes_linux_7_3` from Linux 7.3 on. Besides this file, only `timed.rs` uses
//! it.

use kernel::module_param::ModuleParamAccess;

/// Returns the value of a parameter declared with `module!`.
///
/// `ModuleParamAccess::value()` returns a reference in Linux 7.2 and the value from 7.3 on.
///
/// # Examples
///
/// ```ignore
/// module! {
///     ...
///     params: { calls: u32 { default: 10, description: "How many calls" } },
/// }
///
/// let calls = kprobes::param(&module_parameters::calls);
/// ```
#[inline]
pub fn param<T: Copy>(param: &ModuleParamAccess<T>) -> T {
    #[cfg(kprobes_linux_7_3)]
    return param.value();
    #[cfg(not(kprobes_linux_7_3))]
    return *param.value();
}
