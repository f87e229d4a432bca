// SPDX-License-Identifier: GPL-2.0

//! The entry points of system calls, and their arguments.
//!
//! C header:
//! [`arch/x86/include/asm/syscall_wrapper.h`](srctree/arch/x86/include/asm/syscall_wrapper.h)

use crate::common::*;

/// The [`Target`](crate::Target) for the entry point of a system call: `__x64_sys_*` on x86-64,
/// `__arm64_sys_*` on arm64.
///
/// Use [`Context::syscall_args`](crate::Context::syscall_args) for its arguments.
///
/// # Examples
///
/// ```
/// use kprobes::Target;
///
/// const EXECVE: Target<'static> = kprobes::syscall!("execve");
/// ```
#[macro_export]
macro_rules! syscall {
    ($name:literal) => {
        $crate::Target::symbol(const { $crate::__c_str($crate::__syscall_symbol!($name)) })
    };
}

impl<At: AtCall> Context<'_, At> {
    /// Returns the arguments of the system call, if the probed function is its entry point:
    /// `__x64_sys_*` on x86-64, `__arm64_sys_*` on arm64.
    ///
    /// Such a function takes a pointer to the user's `struct pt_regs`.
    ///
    /// Errors: `EFAULT` if they cannot be read, because the probed function is another one;
    /// `EOPNOTSUPP` in a system call of 32 bits, whose arguments are in other registers.
    pub fn syscall_args<T: FromWords>(&self) -> Result<T> {
        // SAFETY: `thread_info` has a word of flags there, of which this reads the lower half.
        let flags: c_uint = unsafe { current_field(bindings::KPROBES_TASK_COMPAT) };
        if flags & bindings::KPROBES_COMPAT != 0 {
            // The kernel crate of Linux 7.2 has no name for it.
            return Err(Error::from_errno(-(bindings::EOPNOTSUPP as c_int)));
        }
        let user: KernelPtr<pt_regs> = self.arg0();
        let mut user_regs = MaybeUninit::<pt_regs>::uninit();
        user.read_raw(&mut user_regs)?;
        // SAFETY: `read_raw` has initialised it, and a `struct pt_regs` consists of integers.
        let user_regs = unsafe { user_regs.assume_init_ref() };
        Ok(T::from_words(|n| regs::syscall_argument(user_regs, n)))
    }
}
