// SPDX-License-Identifier: GPL-2.0

//! The CPU registers of x86-64, as the kernel's System V ABI uses them.
//!
//! C header: [`arch/x86/include/asm/ptrace.h`](srctree/arch/x86/include/asm/ptrace.h)

use crate::{
    bindings::{
        self,
        __arch_ftrace_regs,
        ftrace_regs,
        pt_regs, //
    },
    held::Leave,
    regs::Entry, //
};
use core::arch::asm;

/// The number of integer arguments that are passed in CPU registers.
pub(crate) const ARGUMENTS: usize = 6;

/// The length of the ftrace call at a function's entry (`MCOUNT_INSN_SIZE`).
pub(crate) const FTRACE_CALL: usize = 5;

/// What is there while ftrace calls nobody (`x86_nops[5]`).
pub(crate) const FTRACE_NOP: [u8; FTRACE_CALL] = [0x0f, 0x1f, 0x44, 0x00, 0x00];

/// Returns what the call at a function's entry leads to, if there is a call. `read` reads kernel
/// memory.
#[inline]
pub(crate) fn ftrace_callee(
    ip: usize,
    read: impl FnOnce(usize) -> Option<[u8; FTRACE_CALL]>,
) -> Option<usize> {
    let [opcode, offset @ ..] = read(ip)?;
    let next = ip.wrapping_add(FTRACE_CALL);
    // `CALL_INSN_OPCODE`
    (opcode == 0xe8).then(|| next.wrapping_add_signed(i32::from_le_bytes(offset) as isize))
}

/// A CPU register, by its name in `struct pt_regs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the processor's")]
pub enum Register {
    R15,
    R14,
    R13,
    R12,
    Bp,
    Bx,
    R11,
    R10,
    R9,
    R8,
    Ax,
    Cx,
    Dx,
    Si,
    Di,
    Ip,
    Sp,
    Flags,
}

/// Returns where a CPU register is saved.
///
/// # Safety
///
/// `regs` must be valid.
#[inline(always)]
pub(crate) unsafe fn register(regs: *mut pt_regs, register: Register) -> *mut usize {
    // SAFETY: By the safety requirements, `regs` is valid; this only computes addresses of fields.
    unsafe {
        match register {
            Register::R15 => &raw mut (*regs).r15,
            Register::R14 => &raw mut (*regs).r14,
            Register::R13 => &raw mut (*regs).r13,
            Register::R12 => &raw mut (*regs).r12,
            Register::Bp => &raw mut (*regs).bp,
            Register::Bx => &raw mut (*regs).bx,
            Register::R11 => &raw mut (*regs).r11,
            Register::R10 => &raw mut (*regs).r10,
            Register::R9 => &raw mut (*regs).r9,
            Register::R8 => &raw mut (*regs).r8,
            Register::Ax => &raw mut (*regs).ax,
            Register::Cx => &raw mut (*regs).cx,
            Register::Dx => &raw mut (*regs).dx,
            Register::Si => &raw mut (*regs).si,
            Register::Di => &raw mut (*regs).di,
            Register::Ip => &raw mut (*regs).ip,
            Register::Sp => &raw mut (*regs).sp,
            Register::Flags => &raw mut (*regs).flags,
        }
    }
}

/// Returns the `n`th argument of a kernel function. The fourth is in `rcx`; only
/// system calls pass it in `r10`.
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

/// Returns the `n`th argument of a 64-bit system call, from the user's registers.
#[inline(always)]
pub(crate) fn syscall_argument(regs: &pt_regs, n: usize) -> usize {
    match n {
        3 => regs.r10,
        _ => argument(regs, n),
    }
}

/// Sets the `n`th argument of a kernel function.
///
/// # Safety
///
/// `regs` must be valid for writing, and the code that continues with them must
/// be correct with the new value.
#[inline(always)]
pub(crate) unsafe fn set_argument(regs: *mut pt_regs, n: usize, value: usize) {
    let name = match n {
        0 => Register::Di,
        1 => Register::Si,
        2 => Register::Dx,
        3 => Register::Cx,
        4 => Register::R8,
        5 => Register::R9,
        _ => return,
    };
    // SAFETY: By the safety requirements, `regs` is valid for writing.
    unsafe { register(regs, name).write(value) };
}

/// Like `regs_return_value()`.
#[inline(always)]
pub(crate) fn return_value(regs: &pt_regs) -> usize {
    regs.ax
}

/// Like `regs_set_return_value()`.
///
/// # Safety
///
/// `regs` must be valid for writing, and the caller of the function must be able
/// to handle the new value.
#[inline(always)]
pub(crate) unsafe fn set_return_value(regs: *mut pt_regs, value: usize) {
    // SAFETY: By the safety requirements, `regs` is valid for writing.
    unsafe { (*regs).ax = value };
}

/// Like `instruction_pointer()`.
#[inline(always)]
pub(crate) fn instruction_pointer(regs: &pt_regs) -> usize {
    regs.ip
}

/// Like `instruction_pointer_set()`.
///
/// # Safety
///
/// `regs` must be valid for writing, and the code that continues with them must
/// be correct with the new value.
#[inline(always)]
pub(crate) unsafe fn set_instruction_pointer(regs: *mut pt_regs, value: usize) {
    // SAFETY: By the safety requirements, `regs` is valid for writing.
    unsafe { (*regs).ip = value };
}

/// Like `kernel_stack_pointer()`.
#[inline(always)]
pub(crate) fn stack_pointer(regs: &pt_regs) -> usize {
    regs.sp
}

/// Returns the `rflags` register.
#[inline(always)]
pub(crate) fn flags(regs: &pt_regs) -> usize {
    regs.flags
}

/// Sets the result and continues at a `ret`, like
/// `override_function_with_return()`.
///
/// # Safety
///
/// `regs` must be the saved registers at the entry of a function that need not
/// run. The handler must return nonzero, and its probe must be unregistered by
/// [`LEAVE_OVERRIDE`].
#[inline]
pub(crate) unsafe fn override_function(regs: *mut pt_regs, ret: usize) {
    // SAFETY: By the safety requirements, `regs` is valid for writing.
    unsafe {
        (*regs).ax = ret;
        (*regs).ip = bindings::kprobes_just_return as *const () as usize;
    }
}

/// Unregisters an override, and waits until no task is at the `ret`, which is in
/// the module's text. A task may have been preempted there.
pub(crate) const LEAVE_OVERRIDE: Leave = bindings::kprobes_leave_override;

/// Increments this CPU's word at `count`, like `this_cpu_inc()`.
///
/// # Safety
///
/// `count` must be a per-CPU pointer to a word.
#[inline(always)]
pub(crate) unsafe fn this_cpu_inc(count: *mut u64) {
    #[cfg(CONFIG_SMP)]
    // SAFETY: By the safety requirements, there is such a word on each CPU, relative to `gs`. A
    // single instruction cannot be interrupted or migrated.
    unsafe {
        asm!("inc qword ptr gs:[{}]", in(reg) count, options(nostack));
    }
    #[cfg(not(CONFIG_SMP))]
    // SAFETY: By the safety requirements, `count` is a per-CPU pointer to a word.
    unsafe {
        bindings::kprobes_percpu_inc(count.cast());
    }
}

/// The current task. No function is called for it, because ftrace could trace that.
#[inline(always)]
pub(crate) fn current() -> *mut bindings::task_struct {
    let task;
    // SAFETY: `gs` leads to the CPU's own; it is this task's as long as the task runs.
    unsafe {
        asm!(
            "mov {}, gs:[rip + {}]",
            out(reg) task,
            sym bindings::const_current_task,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    task
}

/// As `preempt_count()`; the bit `PREEMPT_NEED_RESCHED` is not masked.
#[inline(always)]
pub(crate) fn preempt_count() -> u32 {
    let count;
    // SAFETY: `gs` leads to the CPU's own. Where the task may leave the CPU, that of the next says
    // the same of interrupts.
    unsafe {
        asm!(
            "mov {:e}, gs:[rip + {}]",
            out(reg) count,
            sym bindings::__preempt_count,
            options(nostack, readonly, preserves_flags),
        );
    }
    count
}

/// Sets bit `BIT` of the word at `AT` in `task`, unless in an interrupt.
///
/// # Safety
///
/// `task` must be the current one. There must be a word that only its task writes.
#[inline(always)]
pub(crate) unsafe fn enter_in_task<const AT: usize, const BIT: u32>(
    task: *mut bindings::task_struct,
) -> Entry {
    // SAFETY: By the safety requirements, the word is there. Interrupts in between leave it as
    // they found it.
    unsafe {
        asm!(
            "test dword ptr gs:[rip + {count}], {interrupts}",
            "jnz {interrupt}",
            "bts dword ptr [{task} + {at}], {bit}",
            "jc {within}",
            count = sym bindings::__preempt_count,
            interrupts = const bindings::KPROBES_SOFTIRQ,
            interrupt = label { return Entry::Interrupt },
            task = in(reg) task,
            at = const AT,
            bit = const BIT,
            within = label { return Entry::Within },
            options(nostack),
        );
    }
    Entry::Entered
}

/// Clears the bit.
///
/// # Safety
///
/// [`enter_in_task`] must have set it in `task`.
#[inline(always)]
pub(crate) unsafe fn leave_in_task<const AT: usize, const BIT: u32>(
    task: *mut bindings::task_struct,
) {
    // SAFETY: By the safety requirements of this function.
    unsafe {
        asm!(
            "btr dword ptr [{} + {}], {}",
            in(reg) task,
            const AT,
            const BIT,
            options(nostack),
        );
    }
}

/// As `preempt_disable_notrace()`.
#[inline(always)]
pub(crate) fn preempt_disable() {
    // SAFETY: `gs` leads to the CPU's own. What interrupts this leaves the count as it was.
    unsafe {
        asm!(
            "inc dword ptr gs:[rip + {}]",
            sym bindings::__preempt_count,
            options(nostack),
        );
    }
}

/// The size of `__preempt_count`, with the bit for a reschedule.
#[cfg(CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS)]
macro_rules! preempt_count_size {
    () => {
        "qword"
    };
}
#[cfg(not(CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS))]
macro_rules! preempt_count_size {
    () => {
        "dword"
    };
}

/// As `preempt_enable_notrace()`.
///
/// # Safety
///
/// [`preempt_disable`] must have been called before, and nothing that relies on it
/// may follow.
#[inline(always)]
pub(crate) unsafe fn preempt_enable() {
    #[cfg(CONFIG_PREEMPTION)]
    // SAFETY: By the safety requirements, the count is this function's to decrement. It is 0 if no
    // one else has disabled preemption and a reschedule is due, for the bit for that is inverted.
    unsafe {
        asm!(
            concat!("dec ", preempt_count_size!(), " ptr gs:[rip + {}]"),
            "jz {}",
            sym bindings::__preempt_count,
            // SAFETY: As for `preempt_enable_notrace()`, whose cold half this is.
            label { unsafe { bindings::kprobes_preempt_schedule() } },
            options(nostack),
        );
    }
    #[cfg(not(CONFIG_PREEMPTION))]
    // SAFETY: As above.
    unsafe {
        asm!(
            "dec dword ptr gs:[rip + {}]",
            sym bindings::__preempt_count,
            options(nostack),
        );
    }
}

/// Like `ftrace_regs_get_argument()`.
///
/// # Safety
///
/// `fregs` must be what ftrace has passed to a callback that is running.
#[inline(always)]
pub(crate) unsafe fn entry_argument(fregs: *const ftrace_regs, n: usize) -> usize {
    // SAFETY: By the safety requirements. Here it is a `struct pt_regs`, of which the arguments and
    // the pointers of instruction, stack and frame are filled in.
    argument(unsafe { &(*fregs.cast::<__arch_ftrace_regs>()).regs }, n)
}

/// Sets the `n`th argument, which ftrace restores from there.
///
/// # Safety
///
/// That of [`entry_argument`], and the function must be correct with the new value.
#[inline(always)]
pub(crate) unsafe fn entry_set_argument(fregs: *mut ftrace_regs, n: usize, value: usize) {
    // SAFETY: By the safety requirements, and as in `entry_argument`.
    unsafe {
        set_argument(
            &raw mut (*fregs.cast::<__arch_ftrace_regs>()).regs,
            n,
            value,
        )
    };
}

/// Like `ftrace_regs_get_stack_pointer()`.
///
/// # Safety
///
/// That of [`entry_argument`].
#[inline(always)]
pub(crate) unsafe fn entry_stack_pointer(fregs: *const ftrace_regs) -> usize {
    // SAFETY: By the safety requirements, and as in `entry_argument`.
    unsafe { (*fregs.cast::<__arch_ftrace_regs>()).regs.sp }
}

/// The name of a system call's entry point, with a NUL.
#[doc(hidden)]
#[macro_export]
macro_rules! __syscall_symbol {
    ($name:literal) => {
        $crate::macro_paths::core::concat!("__x64_sys_", $name, "\0")
    };
}
