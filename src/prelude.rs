// SPDX-License-Identifier: GPL-2.0

//! What most files of the library use.

pub(crate) use crate::{
    args::{
        from_address,
        FromWord,
        FromWords,
        OrErrno, //
    },
    bindings::{
        self,
        ftrace_regs,
        kretprobe_instance,
        pt_regs,
        task_struct, //
    },
    context::{
        self,
        AtCall,
        Context,
        Hit,
        Place,
        Saved, //
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
        may_register,
        may_wait,
        Arm,
        ArmCall,
        Kprobes,
        Mechanism,
        Owner,
        Plan,
        Raw,
        Registered,
        Round, //
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
    cell::{
        Cell,
        UnsafeCell, //
    },
    marker::PhantomData,
    mem::{
        offset_of,
        MaybeUninit, //
    },
    ptr,
    slice,
    sync::atomic::{
        compiler_fence,
        AtomicBool,
        AtomicPtr,
        AtomicU64,
        AtomicU8,
        AtomicUsize,
        Ordering, //
    }, //
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
