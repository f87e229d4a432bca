// SPDX-License-Identifier: GPL-2.0

//! The name of a target, and of the module that has it.

use crate::prelude::*;

/// The target of a probe, which may be in a module.
#[allow(unreachable_pub, reason = "sealed")]
pub trait Named<'a>: Copy {
    /// Returns the name under which it can wait, or an empty one, and the offset from there.
    fn name(self) -> (&'a CStr, u32);

    fn at(name: &'a CStr, offset: u32) -> Self;

    /// Whether it may be in `module`, or without that, in any that is loaded.
    fn is_in(name: &CStr, module: Option<&CStr>) -> bool;
}

/// Whether it was refused because its module is not loaded, or is being unloaded: ftrace refuses
/// what it has forgotten already with `EINVAL`.
#[inline(always)]
pub(crate) fn may_come<'a, T: Named<'a>>(name: &CStr, error: Error) -> bool {
    !name.is_empty() && matches!(error, ENOENT | EINVAL) && !T::is_in(name, None)
}

/// Logs that no loaded module has `target`, if it was refused because of that.
#[inline(always)]
pub(super) fn explain<'a, T: Named<'a>>(target: T, error: Error) {
    let (name, _) = target.name();
    if may_come::<T>(name, error) {
        report(name, c"no loaded module has it", error);
    }
}

#[inline]
pub(crate) fn report(name: &CStr, why: &CStr, error: Error) {
    let (name, why) = (name.as_char_ptr(), why.as_char_ptr());
    // SAFETY: The function only prints.
    unsafe { bindings::kprobes_report_named(name, why, error.to_errno()) };
}
