// SPDX-License-Identifier: GPL-2.0

//! What most files of the library use.

pub(crate) use crate::{
    args::*,
    bindings::{
        self,
        ftrace_regs,
        kretprobe_instance,
        pt_regs,
        task_struct, //
    },
    context::{
        self,
        *, //
    },
    kernel_ext::{
        nofault::{
            KernelPtr,
            KernelStr,
            Text,
            UserPtr,
            UserStr, //
        },
        symbol::{
            Address,
            Location, //
        }, //
    },
    probe::{
        self,
        *, //
    },
    regs::{
        self,
        Register, //
    },
    target::Target,
    task::{
        current_field,
        Comm, //
    }, //
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
