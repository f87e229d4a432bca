// SPDX-License-Identifier: GPL-2.0

//! What most files of the library use of the kernel crate, of `core` and of the bindings.

pub(crate) use crate::bindings::{
    self,
    ftrace_regs,
    kretprobe_instance,
    pt_regs,
    task_struct, //
};
pub(crate) use core::{
    cell::*,
    marker::PhantomData,
    mem::{
        offset_of,
        transmute,
        MaybeUninit, //
    },
    ptr,
    slice,
    sync::atomic::*, //
};
pub(crate) use kernel::{
    container_of,
    error::{
        to_result,
        VTABLE_DEFAULT_ERROR, //
    },
    fmt,
    prelude::*,
    str::BStr,
    types::Opaque, //
};

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
