// SPDX-License-Identifier: GPL-2.0

//! Names of the kernel crate, of `core` and of the bindings that most files use.

pub(crate) use crate::bindings;
pub(crate) use crate::bindings::ftrace_regs;
pub(crate) use crate::bindings::kretprobe_instance;
pub(crate) use crate::bindings::pt_regs;
pub(crate) use crate::bindings::task_struct;
pub(crate) use core::cell::*;
pub(crate) use core::marker::PhantomData;
pub(crate) use core::mem::offset_of;
pub(crate) use core::mem::transmute;
pub(crate) use core::mem::MaybeUninit;
pub(crate) use core::ptr;
pub(crate) use core::slice;
pub(crate) use core::sync::atomic::*;
pub(crate) use kernel::container_of;
pub(crate) use kernel::error::to_result;
pub(crate) use kernel::error::VTABLE_DEFAULT_ERROR;
pub(crate) use kernel::fmt;
pub(crate) use kernel::prelude::*;
pub(crate) use kernel::str::BStr;
pub(crate) use kernel::types::Opaque;

/// Implements `core::fmt::Display` by `kernel::fmt::Display`.
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
