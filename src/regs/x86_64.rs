// SPDX-License-Identifier: GPL-2.0

//! Registers of x86-64, as the System V ABI uses them in the kernel.
//!
//! C header: [`arch/x86/include/asm/ptrace.h`](srctree/arch/x86/include/asm/ptrace.h)

use crate::bindings::pt_regs;

/// How many integer arguments travel in registers.
pub(crate) const ARGUMENTS: usize = 6;

/// The `n`th argument of a kernel function. The fourth is in `rcx`; only system
/// calls have it in `r10`.
#[inline(always)]
pub(crate) fn argument(regs: &pt_regs, n: usize) -> usize {
    match n {
        0 => regs.di,
        1 => regs.si,
        2 => regs.dx,
        3 => regs.cx,
        4 => regs.r8,
        5 => regs.r9,
        _ => 0,
    }
}

/// What a function returned, as `regs_return_value()`.
#[inline(always)]
pub(crate) fn return_value(regs: &pt_regs) -> usize {
    regs.ax
}

/// As `instruction_pointer()`.
#[inline(always)]
pub(crate) fn instruction_pointer(regs: &pt_regs) -> usize {
    regs.ip
}

/// As `kernel_stack_pointer()`.
#[inline(always)]
pub(crate) fn stack_pointer(regs: &pt_regs) -> usize {
    regs.sp
}

/// The `rflags` register.
#[inline(always)]
pub(crate) fn flags(regs: &pt_regs) -> usize {
    regs.flags
}
