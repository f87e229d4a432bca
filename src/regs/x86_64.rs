// SPDX-License-Identifier: GPL-2.0

//! The CPU registers of x86-64, as the kernel's System V ABI uses them.
//!
//! C header: [`arch/x86/include/asm/ptrace.h`](srctree/arch/x86/include/asm/ptrace.h)

use crate::prelude::*;
use crate::regs::Entry;
use core::arch::asm;

/// The length of the ftrace call at a function's entry (`MCOUNT_INSN_SIZE`).
pub(crate) const FTRACE_CALL: usize = 5;

/// Returns the length of a probed instruction.
#[inline]
pub(crate) fn instruction_len(kp: &bindings::kprobe) -> usize {
    match kp.ainsn.size {
        // At an ftrace call, the kernel does not set the size.
        0 => FTRACE_CALL,
        size => size.into(),
    }
}

/// The instruction in place of the ftrace call while it is disabled (`x86_nops[5]`).
pub(crate) const FTRACE_NOP: [u8; FTRACE_CALL] = [0x0f, 0x1f, 0x44, 0x00, 0x00];

/// Returns the target of the call instruction at `ip`, or `None` if there is no call. `read` reads
/// kernel memory.
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

macro_rules! registers {
    ($($register:ident $field:ident,)*) => {
        /// A CPU register, by its name in `struct pt_regs`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names are the processor's")]
        pub enum Register {
            $($register,)*
        }

        /// Returns a pointer to a saved CPU register.
        ///
        /// # Safety
        ///
        /// `regs` must be valid.
        #[inline(always)]
        pub(crate) unsafe fn register(regs: *mut pt_regs, register: Register) -> *mut usize {
            // SAFETY: `regs` is valid; this only computes addresses of fields.
            unsafe {
                match register {
                    $(Register::$register => &raw mut (*regs).$field,)*
                }
            }
        }
    };
}

registers! {
    R15 r15, R14 r14, R13 r13, R12 r12, Bp bp, Bx bx, R11 r11, R10 r10, R9 r9, R8 r8,
    Ax ax, Cx cx, Dx dx, Si si, Di di, Ip ip, Sp sp, Flags flags,
}

impl Register {
    pub(crate) const RESULT: Self = Self::Ax;
    pub(crate) const INSTRUCTION_POINTER: Self = Self::Ip;
    pub(crate) const STACK_POINTER: Self = Self::Sp;
    pub(crate) const FLAGS: Self = Self::Flags;

    /// Returns the register of the `n`th argument of a kernel function, from 0 to 5.
    #[inline(always)]
    pub(crate) const fn argument(n: usize) -> Self {
        match n {
            0 => Self::Di,
            1 => Self::Si,
            2 => Self::Dx,
            3 => Self::Cx,
            4 => Self::R8,
            _ => Self::R9,
        }
    }
}

/// Returns the `n`th argument of a 64-bit system call, from the user's registers. The fourth is in
/// `r10`, unlike that of a function.
#[inline(always)]
pub(crate) fn syscall_argument(regs: &pt_regs, n: usize) -> usize {
    match n {
        3 => regs.r10,
        _ => super::get(regs, Register::argument(n)),
    }
}

/// Returns the `n`th argument of a 32-bit system call, in the lower half.
#[inline(always)]
pub(crate) fn compat_syscall_argument(regs: &pt_regs, n: usize) -> usize {
    use Register::*;
    super::get(regs, [Bx, Cx, Dx, Si, Di, Bp][n])
}

/// Sets the result and continues at a `ret`, like `override_function_with_return()`.
///
/// # Safety
///
/// `regs` must be the saved registers at the entry of a function that need not run. The handler
/// must return nonzero. [`wait_for_overridden`] must be called after its probe is unregistered.
#[inline]
pub(crate) unsafe fn override_function(regs: *mut pt_regs, ret: usize) {
    // SAFETY: By the safety requirements, `regs` is valid for writes.
    unsafe {
        (*regs).ax = ret;
        (*regs).ip = bindings::kprobes_just_return as *const () as usize;
    }
}

/// Waits for tasks that were preempted at the `ret` of an override, which is in the module's text.
#[inline]
pub(crate) fn wait_for_overridden() {
    // SAFETY: The function only waits.
    unsafe { bindings::kprobes_wait_for_overridden() };
}

/// Increments this CPU's word at `count`, like `this_cpu_inc()`.
///
/// # Safety
///
/// `count` must be a per-CPU pointer to a word.
#[inline(always)]
pub(crate) unsafe fn this_cpu_inc(count: *mut u64) {
    #[cfg(CONFIG_SMP)]
    // SAFETY: By the safety requirements, each CPU has this word, relative to `gs`.
    unsafe {
        asm!("inc qword ptr gs:[{}]", in(reg) count, options(nostack));
    }
    #[cfg(not(CONFIG_SMP))]
    // SAFETY: By the safety requirements, `count` is a per-CPU pointer to a word.
    unsafe {
        bindings::kprobes_percpu_inc(count.cast());
    }
}

/// Reads a static 32-bit per-CPU variable.
macro_rules! this_cpu_u32 {
    ($word:path) => {{
        let value: u32;
        // SAFETY: `gs` is the base of this CPU's variables.
        unsafe {
            asm!(
                "mov {:e}, gs:[rip + {}]",
                out(reg) value,
                sym $word,
                options(nostack, readonly, preserves_flags),
            );
        }
        value
    }};
}

/// Adds `n` to a counter that only this CPU writes, like `local_add()`. A single instruction cannot
/// be interrupted.
#[inline(always)]
pub(crate) fn local_add(counter: &AtomicU64, n: u64) {
    // SAFETY: The reference is valid.
    unsafe {
        asm!("add qword ptr [{}], {}", in(reg) counter.as_ptr(), in(reg) n, options(nostack));
    }
}

/// As `raw_smp_processor_id()`.
#[inline(always)]
pub(crate) fn cpu() -> u32 {
    #[cfg(CONFIG_SMP)]
    return this_cpu_u32!(bindings::cpu_number);
    #[cfg(not(CONFIG_SMP))]
    0
}

/// Returns the current task without a function call, which ftrace could trace.
#[inline(always)]
pub(crate) fn current() -> *mut task_struct {
    let task;
    // SAFETY: `gs` is the base of this CPU's variables. After a migration, the value is the same.
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
    // A task that can migrate is in no interrupt on either CPU.
    this_cpu_u32!(bindings::__preempt_count)
}

/// Sets bit `BIT` of the 32-bit word at `AT` in `task`, except in a softirq, interrupt or NMI.
///
/// # Safety
///
/// `task` must be the current one. Only the task itself must write the word.
#[inline(always)]
pub(crate) unsafe fn enter_in_task<const AT: usize, const BIT: u32>(
    task: *mut task_struct,
) -> Entry {
    // SAFETY: By the safety requirements, the word exists. Interrupts restore it.
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
pub(crate) unsafe fn leave_in_task<const AT: usize, const BIT: u32>(task: *mut task_struct) {
    // SAFETY: By the safety requirements, which include those of `enter_in_task`.
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
    // SAFETY: `gs` is the base of this CPU's variables. Interrupts restore the count.
    unsafe {
        asm!(
            "inc dword ptr gs:[rip + {}]",
            sym bindings::__preempt_count,
            options(nostack),
        );
    }
}

/// The size of `__preempt_count`, including the bit `PREEMPT_NEED_RESCHED`.
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
/// It must undo a call of [`preempt_disable`].
#[inline(always)]
pub(crate) unsafe fn preempt_enable() {
    #[cfg(CONFIG_PREEMPTION)]
    // SAFETY: By the safety requirements, the count is not 0. The word becomes 0 if preemption is
    // enabled and a reschedule is due, because `PREEMPT_NEED_RESCHED` is inverted.
    unsafe {
        asm!(
            concat!("dec ", preempt_count_size!(), " ptr gs:[rip + {}]"),
            "jz {}",
            sym bindings::__preempt_count,
            // SAFETY: Preemption is enabled, as where `preempt_enable_notrace()` calls it.
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

/// Returns a pointer to a register that ftrace has saved: an argument, which ftrace restores, or
/// the stack pointer.
///
/// # Safety
///
/// ftrace must have passed `fregs` to a callback that is running.
#[inline(always)]
pub(crate) unsafe fn entry_register(fregs: *mut ftrace_regs, name: Register) -> *mut usize {
    // SAFETY: By the safety requirements, `fregs` is valid. It contains a `struct pt_regs`, in
    // which the arguments, `ip`, `sp` and `bp` are filled in.
    unsafe {
        register(
            &raw mut (*fregs.cast::<bindings::__arch_ftrace_regs>()).regs,
            name,
        )
    }
}

/// The entry points of a system call; that of 64-bit programs is the first.
#[doc(hidden)]
#[macro_export]
macro_rules! __syscall_entries {
    ($name:literal) => {
        $crate::syscall!(
            @each $name "__x64_sys_" "__ia32_sys_" "__ia32_compat_sys_" "__x64_compat_sys_"
        )
    };
}
