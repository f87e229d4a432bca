// SPDX-License-Identifier: GPL-2.0

//! Registers of arm64, as the AAPCS64 uses them.
//!
//! C header: [`arch/arm64/include/asm/ptrace.h`](srctree/arch/arm64/include/asm/ptrace.h)

use crate::{
    bindings::{
        self,
        pt_regs, //
    },
    held::Leave,
    regs::Entry, //
};
use core::sync::atomic::{
    compiler_fence,
    Ordering, //
};

/// How many integer arguments travel in registers.
pub(crate) const ARGUMENTS: usize = 8;

/// The length of ftrace's call at a function's entry (`MCOUNT_INSN_SIZE`). No
/// kprobe of arm64 is there.
pub(crate) const FTRACE_CALL: usize = 4;

/// A general register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// `x0` to `x30`; a larger number is `x30`.
    X(u8),
    /// The stack pointer.
    Sp,
    /// The program counter.
    Pc,
    /// The processor's state.
    Pstate,
}

/// Where that register is saved.
///
/// # Safety
///
/// `regs` must be valid.
#[inline(always)]
pub(crate) unsafe fn register(regs: *mut pt_regs, register: Register) -> *mut usize {
    // SAFETY: This only computes addresses of fields of a struct that is valid by this function's
    // contract.
    unsafe {
        let all = &raw mut (*regs).__bindgen_anon_1.__bindgen_anon_1;
        match register {
            Register::X(n) => (&raw mut (*all).regs)
                .cast::<usize>()
                .add(usize::from(n.min(30))),
            Register::Sp => (&raw mut (*all).sp).cast(),
            Register::Pc => (&raw mut (*all).pc).cast(),
            Register::Pstate => (&raw mut (*all).pstate).cast(),
        }
    }
}

#[inline(always)]
fn get(regs: &pt_regs, name: Register) -> usize {
    // SAFETY: A reference is valid, and `register` points into what it refers to.
    unsafe { register(core::ptr::from_ref(regs).cast_mut(), name).read() }
}

/// The `n`th argument of a kernel function.
#[inline(always)]
pub(crate) fn argument(regs: &pt_regs, n: usize) -> usize {
    get(regs, Register::X(n as u8))
}

/// The `n`th argument of a 64-bit system call, in the program's registers. The
/// result takes the place of the first, which is kept beside.
#[inline(always)]
pub(crate) fn syscall_argument(regs: &pt_regs, n: usize) -> usize {
    match n {
        0 => regs.orig_x0 as usize,
        _ => argument(regs, n),
    }
}

/// Sets the `n`th argument of a kernel function.
///
/// # Safety
///
/// `regs` must be valid for writing, and whoever goes on with them must bear
/// the new value.
#[inline(always)]
pub(crate) unsafe fn set_argument(regs: *mut pt_regs, n: usize, value: usize) {
    // SAFETY: By this function's contract.
    unsafe { register(regs, Register::X(n as u8)).write(value) };
}

/// What a function returned, as `regs_return_value()`.
#[inline(always)]
pub(crate) fn return_value(regs: &pt_regs) -> usize {
    get(regs, Register::X(0))
}

/// As `regs_set_return_value()`.
///
/// # Safety
///
/// `regs` must be valid for writing, and the caller of the function must bear
/// the new value.
#[inline(always)]
pub(crate) unsafe fn set_return_value(regs: *mut pt_regs, value: usize) {
    // SAFETY: By this function's contract.
    unsafe { register(regs, Register::X(0)).write(value) };
}

/// As `instruction_pointer()`.
#[inline(always)]
pub(crate) fn instruction_pointer(regs: &pt_regs) -> usize {
    get(regs, Register::Pc)
}

/// As `instruction_pointer_set()`.
///
/// # Safety
///
/// `regs` must be valid for writing, and whoever goes on with them must bear
/// the new value.
#[inline(always)]
pub(crate) unsafe fn set_instruction_pointer(regs: *mut pt_regs, value: usize) {
    // SAFETY: By this function's contract.
    unsafe { register(regs, Register::Pc).write(value) };
}

/// As `kernel_stack_pointer()`.
#[inline(always)]
pub(crate) fn stack_pointer(regs: &pt_regs) -> usize {
    get(regs, Register::Sp)
}

/// The processor's state.
#[inline(always)]
pub(crate) fn flags(regs: &pt_regs) -> usize {
    get(regs, Register::Pstate)
}

/// Goes on where the link register says, as `override_function_with_return()`
/// does.
///
/// # Safety
///
/// `regs` must be those at the entry of a function that need not run, and the
/// handler must tell the kernel that it changed the flow.
#[inline]
pub(crate) unsafe fn override_function(regs: *mut pt_regs, ret: usize) {
    // SAFETY: By this function's contract.
    unsafe {
        register(regs, Register::X(0)).write(ret);
        register(regs, Register::Pc).write(register(regs, Register::X(30)).read());
    }
}

/// How an override is unregistered: as any kprobe. It goes straight to the
/// caller, so no task is ever in the module's text.
pub(crate) const LEAVE_OVERRIDE: Leave = bindings::kprobes_leave_kprobes;

/// Adds one to this CPU's word at `count`, as `this_cpu_inc()`, which is more
/// than one instruction: there is none that leads to a CPU's own memory.
///
/// # Safety
///
/// `count` must be a per-CPU pointer to a word.
#[inline(always)]
pub(crate) unsafe fn this_cpu_inc(count: *mut u64) {
    // SAFETY: By this function's contract.
    unsafe { bindings::kprobes_percpu_inc(count.cast()) };
}

/// The current task. No function is called for it, because ftrace could trace that.
#[inline(always)]
pub(crate) fn current() -> *mut bindings::task_struct {
    let task;
    // SAFETY: The kernel keeps it there.
    unsafe {
        core::arch::asm!(
            "mrs {}, sp_el0",
            out(reg) task,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    task
}

/// As `preempt_count()`.
#[inline(always)]
pub(crate) fn preempt_count() -> u32 {
    // SAFETY: A task begins with its `thread_info`, whose count is at that offset. Interrupts leave
    // it as they found it.
    unsafe {
        current()
            .byte_add(bindings::KPROBES_TASK_PREEMPT_COUNT)
            .cast::<u32>()
            .read_volatile()
    }
}

/// Sets bit `BIT` of the word at `AT` in the current task, unless in an
/// interrupt.
///
/// # Safety
///
/// There must be a word that only its task writes.
#[inline(always)]
pub(crate) unsafe fn enter_in_task<const AT: usize, const BIT: u32>() -> Entry {
    if preempt_count() & bindings::KPROBES_SOFTIRQ != 0 {
        return Entry::Interrupt;
    }
    // SAFETY: By this function's contract. Interrupts leave the word as they found it.
    unsafe {
        let word = current().byte_add(AT).cast::<u32>();
        let bits = word.read_volatile();
        if bits & (1 << BIT) != 0 {
            return Entry::Within;
        }
        word.write_volatile(bits | (1 << BIT));
    }
    compiler_fence(Ordering::SeqCst);
    Entry::Entered
}

/// Clears the bit.
///
/// # Safety
///
/// [`enter_in_task`] must have set it.
#[inline(always)]
pub(crate) unsafe fn leave_in_task<const AT: usize, const BIT: u32>() {
    compiler_fence(Ordering::SeqCst);
    // SAFETY: By this function's contract.
    unsafe {
        let word = current().byte_add(AT).cast::<u32>();
        word.write_volatile(word.read_volatile() & !(1 << BIT));
    }
}

/// Whether the kernel's memory may be at that address: bit 55 says which of the
/// two tables the processor looks it up in.
///
/// `copy_from_kernel_nofault()` does not look, and without PAN (before ARMv8.1)
/// the processor lets the kernel read what is the program's.
#[inline(always)]
pub(crate) fn is_kernel_address(addr: usize) -> bool {
    addr & (1 << 55) != 0
}

/// The name of a system call's entry point, which ends with NUL.
#[doc(hidden)]
#[macro_export]
macro_rules! __syscall_symbol {
    ($name:literal) => {
        ::core::concat!("__arm64_sys_", $name, "\0")
    };
}
