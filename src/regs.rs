// SPDX-License-Identifier: GPL-2.0

//! Which register holds what, one file for each architecture.
//!
//! Nothing outside of this module knows a register by its name.

#[cfg_attr(CONFIG_X86_64, path = "regs/x86_64.rs")]
mod arch;

pub(crate) use arch::*;
