// SPDX-License-Identifier: GPL-2.0

//! Which register holds what, one file for each architecture.
//!
//! Nothing outside of this module knows a register by its name.

#[cfg_attr(CONFIG_X86_64, path = "regs/x86_64.rs")]
#[cfg_attr(CONFIG_ARM64, path = "regs/arm64.rs")]
mod arch;

pub use arch::Register;
pub(crate) use arch::{
    argument,
    flags,
    instruction_pointer,
    register,
    return_value,
    set_argument,
    set_instruction_pointer,
    set_return_value,
    skip_function,
    stack_pointer,
    syscall_argument,
    wait_for_skips,
    ARGUMENTS,
    FTRACE_CALL, //
};
