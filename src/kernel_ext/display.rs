// SPDX-License-Identifier: GPL-2.0

//! `Display` twice: that of the kernel crate, which `pr_info!` takes, and that of `core`, which
//! `core::write!` takes.
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
///
/// # Examples
///
/// ```
/// use core::net::{Ipv4Addr, SocketAddrV4};
/// use kernel::prelude::*;
///
/// let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80);
/// pr_info!("connects to {}\n", kprobes::ByCore(to));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ByCore<T>(pub T);

impl<T: core::fmt::Display> fmt::Display for ByCore<T> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        core::fmt::Display::fmt(&self.0, f)
    }
}

/// Implements `Display` of `core` for types that have that of the kernel crate.
macro_rules! display_by_core {
    ($([$($param:tt)*] $type:ty),* $(,)?) => {
        $(impl<$($param)*> core::fmt::Display for $type {
            #[inline]
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                kernel::fmt::Display::fmt(self, f)
            }
        })*
    };
}
pub(crate) use display_by_core;

display_by_core!([T: core::fmt::Display] ByCore<T>);
