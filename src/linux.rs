// SPDX-License-Identifier: GPL-2.0

//! Differences between kernel versions.
//!
//! `kprobes.mk` sets `kprobes_linux_7_3` from Linux 7.3 on. No other file uses it.

use kernel::module_param::ModuleParamAccess;

/// Returns the value of a parameter declared with `module!`.
///
/// `ModuleParamAccess::value()` returns a reference in Linux 7.2 and the value
/// from 7.3 on.
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

/// The module that `#[vtable]` of Linux 7.3 refers to in a crate without
/// `module!`, like this one.
#[doc(hidden)]
pub struct LocalModule;

#[cfg(kprobes_linux_7_3)]
impl kernel::ModuleMetadata for LocalModule {
    const NAME: &'static kernel::str::CStr = c"kprobes";

    // SAFETY: `THIS_MODULE` is null in code that is not a module, and nobody dereferences it.
    const THIS_MODULE: kernel::ThisModule =
        unsafe { kernel::ThisModule::from_ptr(core::ptr::null_mut()) };
}
