// SPDX-License-Identifier: GPL-2.0

//! The name of a target, and of the module that has it.

use super::{Kind, Options};
use crate::prelude::*;

/// The target of a probe, which may be in a module.
#[allow(unreachable_pub, reason = "sealed")]
pub trait Named<'a>: Copy {
    /// Returns the name under which it can wait, or an empty one, and the offset from there.
    fn name(self) -> (&'a CStr, u32);

    fn at(name: &'a CStr, offset: u32) -> Self;

    /// Logs that `what`, of the kind `K`, was refused there.
    fn report<K: Kind>(self, what: &CStr, index: c_int, error: Error);

    /// Whether it may be in `module`, or without that, in any that is loaded.
    fn is_in(name: &CStr, module: Option<&CStr>) -> bool;
}

/// Whether it was refused because its module is not loaded, or is being unloaded: ftrace refuses
/// what it has forgotten already with `EINVAL`.
#[inline(always)]
pub(crate) fn may_come<'a, T: Named<'a>>(name: &CStr, error: Error) -> bool {
    !name.is_empty() && matches!(error, ENOENT | EINVAL) && !T::is_in(name, None)
}

/// Logs that a probe at `target` was refused, unless the options are quiet, and returns the error.
/// `index` is that of a member of a set, or -1.
#[inline(always)]
pub(crate) fn refused<K: Kind>(
    target: K::Target<'_>,
    options: Options<K::Specific>,
    index: c_int,
    error: Error,
) -> Error {
    if !options.quiet {
        target.report::<K>(options.name.unwrap_or(K::NAME), index, error);
    }
    error
}
