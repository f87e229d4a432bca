// SPDX-License-Identifier: GPL-2.0

//! Prints values of `core::fmt::Display` by `pr_info!`, which requires `kernel::fmt::Display`.
//!
//! C header: [`include/linux/printk.h`](srctree/include/linux/printk.h)
//!
//! `impl_display_forward!` of `kernel::fmt` would replace [`ByCore`] once its list includes the
//! types of `core::net`, as `upstream/linux/0009-*.patch` proposes.
//!
//! Context: any.

use crate::prelude::*;

/// Prints a value that implements only `core::fmt::Display`, such as an address of `core::net`, by
/// `pr_info!`. Width and flags are kept.
#[derive(Clone, Copy, Debug)]
pub struct ByCore<T>(pub T);

impl<T: core::fmt::Display> fmt::Display for ByCore<T> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        core::fmt::Display::fmt(&self.0, f)
    }
}

display_by_core!([T: core::fmt::Display] ByCore<T>);
