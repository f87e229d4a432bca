// SPDX-License-Identifier: GPL-2.0

//! Differences between architectures: the use of CPU registers, system calls,
//! per-CPU memory.
//!
//! Nothing outside of this module names a CPU register or an instruction.

#[cfg_attr(CONFIG_X86_64, path = "regs/x86_64.rs")]
#[cfg_attr(CONFIG_ARM64, path = "regs/arm64.rs")]
mod arch;

/// What became of [`enter_in_task`].
pub(crate) enum Entry {
    /// The bit was clear, and is set.
    Entered,
    /// The bit was set.
    Within,
    /// The CPU serves a softirq, an interrupt or an NMI: the bit was not looked at.
    Interrupt,
}

pub use arch::Register;
pub(crate) use arch::{
    argument,
    current,
    enter_in_task,
    flags,
    instruction_pointer,
    is_kernel_address,
    leave_in_task,
    override_function,
    preempt_count,
    register,
    return_value,
    set_argument,
    set_instruction_pointer,
    set_return_value,
    stack_pointer,
    syscall_argument,
    this_cpu_inc,
    ARGUMENTS,
    FTRACE_CALL,
    LEAVE_OVERRIDE, //
};
