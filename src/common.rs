// SPDX-License-Identifier: GPL-2.0

//! Imports that most modules of the crate share.

pub(crate) use crate::args::*;
pub(crate) use crate::context;
pub(crate) use crate::context::*;
pub(crate) use crate::kernel_ext::count::Count;
pub(crate) use crate::kernel_ext::nofault::KernelPtr;
pub(crate) use crate::kernel_ext::nofault::KernelStr;
pub(crate) use crate::kernel_ext::nofault::Text;
pub(crate) use crate::kernel_ext::nofault::UserPtr;
pub(crate) use crate::kernel_ext::nofault::UserStr;
pub(crate) use crate::kernel_ext::symbol::Address;
pub(crate) use crate::kernel_ext::symbol::Location;
pub(crate) use crate::prelude::*;
pub(crate) use crate::probe;
pub(crate) use crate::probe::*;
pub(crate) use crate::regs;
pub(crate) use crate::regs::current_field;
pub(crate) use crate::regs::Register;
pub(crate) use crate::target::Target;
pub(crate) use crate::task::Comm;
