// SPDX-License-Identifier: GPL-2.0

//! `pr_info!` takes `Display` of the kernel crate, `core::write!` that of `core`.
//!
//! C header: [`include/linux/printk.h`](srctree/include/linux/printk.h)
//!
//! `impl_display_forward!` of `kernel::fmt` would replace [`ByCore`], with the types of `core::net`
//! in its list, as `upstream/linux/0001-*.patch` adds them.
//!
//! Context: any.

use crate::prelude::*;

/// Prints in `pr_info!` what prints itself in `core::write!` only, such as an address of
/// `core::net`, with the same width and flags.
#[derive(Clone, Copy, Debug)]
pub struct ByCore<T>(pub T);

impl<T: core::fmt::Display> fmt::Display for ByCore<T> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        core::fmt::Display::fmt(&self.0, f)
    }
}

display_by_core!([T: core::fmt::Display] ByCore<T>);
