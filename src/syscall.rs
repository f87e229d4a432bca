// SPDX-License-Identifier: GPL-2.0

//! Entry points of system calls, and their arguments.
//!
//! C header:
//! [`arch/x86/include/asm/syscall_wrapper.h`](srctree/arch/x86/include/asm/syscall_wrapper.h)

use crate::common::*;

/// The [`Target`](crate::Target) for the entry point of a system call: `__x64_sys_*` on x86-64,
/// `__arm64_sys_*` on arm64, `__riscv_sys_*` on riscv64.
///
/// `syscall!(all "NAME")` is an array of targets for a
/// [`partial`](crate::probe::Options::partial) set, because few system calls have all entry points:
///
/// - on x86-64, `__x64_sys_*`, `__ia32_sys_*`, `__ia32_compat_sys_*` (32-bit programs) and
///   `__x64_compat_sys_*` (x32);
/// - on arm64, `__arm64_sys_*` and `__arm64_compat_sys_*`; on riscv64 likewise.
///
/// [`Context::index`](crate::Context::index) is the index of the entry point that was hit, and
/// [`Context::in_compat_syscall`](crate::Context::in_compat_syscall) is true in a 32-bit call. All
/// names of a system call without arguments, such as getpid(2), are aliases of one function: use
/// one target, or each call has a hit for each name. Some system calls of 32-bit programs have
/// other names, such as `mmap2`.
///
/// For the arguments, see [`Context::syscall_args`](crate::Context::syscall_args). Other calls may
/// have the same effect, see [`Override`](crate::Override).
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
    /// Returns whether the current task is in a 32-bit system call, which a 64-bit program can make
    /// by `int $0x80`. An x32 call is not a 32-bit call.
    ///
    /// C functions: `in_ia32_syscall()`, or `is_compat_task()`.
    #[inline(always)]
    pub fn in_compat_syscall(&self) -> bool {
        // SAFETY: `task_struct` has a word of flags at this offset, whose lower half is read.
        let flags: c_uint = unsafe { current_field(bindings::KPROBES_TASK_COMPAT) };
        flags & bindings::KPROBES_COMPAT != 0
    }
}

impl<At: AtCall> Context<'_, At> {
    /// Returns the arguments of a system call. The probed function must be one of its entry points,
    /// which take a pointer to the user's `struct pt_regs`, see [`syscall!`](crate::syscall).
    ///
    /// In a 32-bit call, arguments are the lower halves of registers, not sign-extended: use `i32`,
    /// not `isize`. A 64-bit argument is split into two, and a struct may have another layout.
    ///
    /// Context: any.
    ///
    /// Errors: `EFAULT` if they cannot be read, because the probed function is not an entry point.
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
