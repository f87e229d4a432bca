// SPDX-License-Identifier: GPL-2.0

//! The entry points of system calls, and their arguments.
//!
//! C header:
//! [`arch/x86/include/asm/syscall_wrapper.h`](srctree/arch/x86/include/asm/syscall_wrapper.h)

use crate::common::*;

/// The [`Target`](crate::Target) for the entry point of a system call: `__x64_sys_*` on x86-64,
/// `__arm64_sys_*` on arm64, `__riscv_sys_*` on riscv64.
///
/// `syscall!(all "NAME")` is an array of the targets for all entry points that there may be, for a
/// set that is [`partial`](crate::probe::Options::partial), because few system calls have all:
/// `__x64_sys_*`, then `__ia32_sys_*`, `__ia32_compat_sys_*` (32 bits) and `__x64_compat_sys_*`
/// (x32); on arm64, `__arm64_sys_*` and `__arm64_compat_sys_*`; on riscv64 likewise.
/// [`Context::index`](crate::Context::index) says which was hit, and
/// [`Context::in_compat_syscall`](crate::Context::in_compat_syscall) whether in a call of 32 bits.
/// A system call without arguments, such as getpid(2), is one function with all names: take one
/// target, or each call is a hit for each name. 32-bit programs also have system calls of other
/// names, such as `mmap2`.
///
/// Use [`Context::syscall_args`](crate::Context::syscall_args) for the arguments. The entry points
/// are not the only way to what a system call does, see [`Override`](crate::Override).
///
/// # Examples
///
/// ```
/// use kprobes::Target;
///
/// const EXECVE: Target<'static> = kprobes::syscall!("execve");
/// const ALL: &[Target<'static>] = &kprobes::syscall!(all "execve");
/// ```
#[macro_export]
macro_rules! syscall {
    ($name:literal) => {
        const { $crate::syscall!(all $name)[0] }
    };
    (all $name:literal) => {
        $crate::__syscall_entries!($name)
    };
    (@each $name:literal $($prefix:literal)*) => {
        [$($crate::Target::symbol(const {
            $crate::__c_str($crate::macro_paths::core::concat!($prefix, $name, "\0"))
        })),*]
    };
}

impl<At: Place> Context<'_, At> {
    /// Returns whether the current task is in a system call of 32 bits, whatever its program is:
    /// `int $0x80` makes one in a 64-bit program, too. An x32 call is none.
    ///
    /// C functions: `in_ia32_syscall()`, or `is_compat_task()`.
    #[inline(always)]
    pub fn in_compat_syscall(&self) -> bool {
        // SAFETY: `thread_info` has a word of flags there, of which this reads the lower half.
        let flags: c_uint = unsafe { current_field(bindings::KPROBES_TASK_COMPAT) };
        flags & bindings::KPROBES_COMPAT != 0
    }
}

impl<At: AtCall> Context<'_, At> {
    /// Returns the arguments of the system call, if the probed function is one of its entry points,
    /// see [`syscall!`](crate::syscall).
    ///
    /// Such a function takes a pointer to the user's `struct pt_regs`. In a system call of 32 bits,
    /// the arguments are the lower halves of other registers, without their sign: take `i32`, not
    /// `isize`. There, a 64-bit argument is two, and a struct may have another layout.
    ///
    /// Context: any.
    ///
    /// Errors: `EFAULT` if they cannot be read, because the probed function is another one.
    pub fn syscall_args<T: FromWords>(&self) -> Result<T> {
        type Words = [usize; size_of::<pt_regs>() / size_of::<usize>()];

        let user: KernelPtr<Words> = self.arg0();
        // SAFETY: A `struct pt_regs` consists of integers.
        let user_regs = &unsafe { transmute::<Words, pt_regs>(user.read()?) };
        let compat = self.in_compat_syscall();
        Ok(T::from_words(|n| match compat {
            true => regs::compat_syscall_argument(user_regs, n) as u32 as usize,
            false => regs::syscall_argument(user_regs, n),
        }))
    }
}
