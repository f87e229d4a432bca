// SPDX-License-Identifier: GPL-2.0

//! The current task, as a handler may ask about it.
//!
//! C header: [`include/linux/sched.h`](srctree/include/linux/sched.h)
//!
//! Context: any; nothing here sleeps, locks or faults.

use crate::{
    bindings,
    context::{
        Context,
        Place, //
    }, //
};
use kernel::{
    fmt,
    prelude::*,
    str::BStr,
    task::{
        Pid,
        Task, //
    }, //
};

impl<At: Place> Context<'_, At> {
    /// The current task's id, which is what users call the thread id
    /// (`task_struct::pid`, in the initial namespace).
    #[inline(always)]
    pub fn pid(&self) -> Pid {
        // SAFETY: `pid` is a `pid_t`, and that is its offset.
        unsafe { current_field(bindings::KPROBES_TASK_PID) }
    }

    /// The current task's thread group id, which is what users call the
    /// process id (`task_struct::tgid`, in the initial namespace).
    #[inline(always)]
    pub fn tgid(&self) -> Pid {
        // SAFETY: `tgid` is a `pid_t`, and that is its offset.
        unsafe { current_field(bindings::KPROBES_TASK_TGID) }
    }

    /// The current task's name.
    ///
    /// Where another thread changes the name at this moment, the copy may be a
    /// mix of both.
    #[inline(always)]
    pub fn comm(&self) -> Comm {
        // SAFETY: `comm` is an array of `TASK_COMM_LEN` bytes, and that is its offset.
        Comm(unsafe { current_field(bindings::KPROBES_TASK_COMM) })
    }

    /// The current task's effective user id, in the initial namespace
    /// (`current_euid()`).
    #[inline(always)]
    pub fn euid(&self) -> u32 {
        // SAFETY: `cred` is a pointer to a `struct cred`, and that is its offset. Only the task
        // itself replaces it, so what it points at stays while the task is here; `euid` of
        // credentials that a task has never changes.
        unsafe {
            let cred: *const u8 = current_field(bindings::KPROBES_TASK_CRED);
            cred.byte_add(bindings::KPROBES_CRED_EUID)
                .cast::<u32>()
                .read()
        }
    }

    /// Whether the current task is a kernel thread (`PF_KTHREAD`).
    #[inline(always)]
    pub fn is_kernel_thread(&self) -> bool {
        // SAFETY: `flags` is an `unsigned int`, and that is its offset.
        let flags: c_uint = unsafe { current_field(bindings::KPROBES_TASK_FLAGS) };
        flags & bindings::PF_KTHREAD != 0
    }
}

/// A field of the current task.
///
/// # Safety
///
/// `struct task_struct` must have a `T` at `offset`, for which every content is
/// a value.
#[inline(always)]
unsafe fn current_field<T: Copy>(offset: usize) -> T {
    // SAFETY: `current` is valid while it runs, and by this function's contract there is a `T` at
    // that offset. Others may write it meanwhile, hence volatile.
    unsafe {
        Task::current_raw()
            .byte_add(offset)
            .cast::<T>()
            .read_volatile()
    }
}

/// The name of a task, as `task_struct::comm` holds it.
///
/// Displaying it escapes what is not printable ASCII: a program chooses its
/// name itself, and must not be able to write lines or terminal codes into a
/// log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Comm([u8; bindings::TASK_COMM_LEN as usize]);

impl Comm {
    /// The bytes of the name, without the NUL.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        &self.0[..len]
    }
}

impl fmt::Display for Comm {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(BStr::from_bytes(self.as_bytes()), f)
    }
}
