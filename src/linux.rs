// SPDX-License-Identifier: GPL-2.0

//! What differs between the kernels that this crate is built for.
//!
//! `kprobes.mk` says which they are, by the version that kbuild knows: `kprobes_linux_7_3` is set
//! from Linux 7.3 on. Nothing outside of this file asks for it.

use kernel::module_param::ModuleParamAccess;

/// The value of a parameter that `module!` declared.
///
/// The kernel crate's own `value()` gives a reference in Linux 7.2 and the value from 7.3 on.
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

/// What `#[vtable]` of Linux 7.3 takes for the module where this crate implements a trait by it,
/// as does code without a `module!`. Where there is one, it is that module.
#[doc(hidden)]
pub struct LocalModule;

#[cfg(kprobes_linux_7_3)]
impl kernel::ModuleMetadata for LocalModule {
    const NAME: &'static kernel::str::CStr = c"kprobes";

    // SAFETY: A null pointer is what `THIS_MODULE` is in code that is no module; nothing takes a
    // reference to it.
    const THIS_MODULE: kernel::ThisModule =
        unsafe { kernel::ThisModule::from_ptr(core::ptr::null_mut()) };
}
