// SPDX-License-Identifier: GPL-2.0

//! What the kinds of probes, and what handlers read and collect, have in common.

pub(crate) use crate::{
    args::*,
    context::{
        self,
        *, //
    },
    kernel_ext::{
        count::Count,
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
    prelude::*,
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
