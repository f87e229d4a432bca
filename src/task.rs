// SPDX-License-Identifier: GPL-2.0

//! The current task in a [`Context`].
//!
//! C header: [`include/linux/sched.h`](srctree/include/linux/sched.h)
//!
//! Context: any; nothing here sleeps, locks or faults.

use crate::prelude::*;
use kernel::task::Pid;

impl<At: Place> Context<'_, At> {
    /// Returns the current task's `task_struct::pid` in the initial namespace, which user space
    /// calls the thread ID.
    #[inline(always)]
    pub fn pid(&self) -> Pid {
        // SAFETY: `pid` is a `pid_t`, and that is its offset.
        unsafe { current_field(bindings::KPROBES_TASK_PID) }
    }

    /// Returns the current task's `task_struct::tgid` in the initial namespace, which user space
    /// calls the process ID.
    #[inline(always)]
    pub fn tgid(&self) -> Pid {
        // SAFETY: `tgid` is a `pid_t`, and that is its offset.
        unsafe { current_field(bindings::KPROBES_TASK_TGID) }
    }

    /// Returns the current task's name.
    ///
    /// If another thread changes it concurrently, the copy may be a mix of both.
    #[inline(always)]
    pub fn comm(&self) -> Comm {
        // SAFETY: `comm` is an array of `TASK_COMM_LEN` bytes, and that is its offset.
        Comm(unsafe { current_field(bindings::KPROBES_TASK_COMM) })
    }

    /// Returns the current task's effective user ID in the initial namespace (`current_euid()`).
    #[inline(always)]
    pub fn euid(&self) -> u32 {
        // SAFETY: `cred` is a pointer, and that is its offset.
        let cred: *const u8 = unsafe { current_field(bindings::KPROBES_TASK_CRED) };
        // SAFETY: It points at a `struct cred`, which stays valid because only the task itself can
        // replace it, and whose `euid` does not change while a task uses it.
        unsafe {
            cred.byte_add(bindings::KPROBES_CRED_EUID)
                .cast::<u32>()
                .read()
        }
    }

    /// Returns the current task's address space, `task_struct::mm`, which is null in a kernel
    /// thread. A program that is executed gets a new one.
    #[inline(always)]
    pub fn mm(&self) -> KernelPtr<bindings::mm_struct> {
        // SAFETY: `mm` is a pointer, and that is its offset.
        KernelPtr::new(unsafe { current_field(bindings::KPROBES_TASK_MM) })
    }

    /// Returns whether the current task is a kernel thread (`PF_KTHREAD`).
    #[inline(always)]
    pub fn is_kernel_thread(&self) -> bool {
        // SAFETY: `flags` is an `unsigned int`, and that is its offset.
        let flags: c_uint = unsafe { current_field(bindings::KPROBES_TASK_FLAGS) };
        flags & bindings::PF_KTHREAD != 0
    }
}

/// Reads a field of the current task.
///
/// # Safety
///
/// `struct task_struct` must have a `T` at `offset`, for which all bit patterns are valid.
#[inline(always)]
pub(crate) unsafe fn current_field<T: Copy>(offset: usize) -> T {
    // SAFETY: `current` is valid while it runs, and by the safety requirements, it has a `T` at
    // that offset. It may be written concurrently, hence volatile.
    unsafe { regs::current().byte_add(offset).cast::<T>().read_volatile() }
}

/// The name of a task (`task_struct::comm`).
///
/// `Display` escapes all that is not printable ASCII, because a program chooses its name, and could
/// otherwise write lines and terminal codes into the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Comm(pub(crate) [u8; bindings::TASK_COMM_LEN as usize]);

impl Comm {
    pub(crate) const SIZE: usize = bindings::TASK_COMM_LEN as usize;

    /// Returns the name as two words, without what is after its NUL.
    #[inline(always)]
    pub(crate) fn into_words(self) -> (u64, u64) {
        const { assert!(Self::SIZE == 16) };
        const ONES: u64 = u64::from_le_bytes([0x01; 8]);
        const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
        let name = u128::from_le_bytes(self.0);
        let (first, second) = (name as u64, (name >> 64) as u64);
        // The lowest bit that is set is that of the first NUL; what is below it stays.
        let nul = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
        let before = |word: u64| word & (nul(word) & nul(word).wrapping_neg()).wrapping_sub(1);
        (
            before(first),
            if nul(first) == 0 { before(second) } else { 0 },
        )
    }

    /// Returns the name with these words.
    #[inline]
    pub(crate) fn from_words((first, second): (u64, u64)) -> Self {
        Self((u128::from(first) | u128::from(second) << 64).to_le_bytes())
    }

    /// Returns the bytes of the name, without the NUL.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        &self.0[..len]
    }
}

/// In double quotes, with `"` and `\` escaped, too: a name with spaces cannot be taken for what
/// follows it in a line.
impl fmt::Debug for Comm {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(BStr::from_bytes(self.as_bytes()), f)
    }
}

impl fmt::Display for Comm {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(BStr::from_bytes(self.as_bytes()), f)
    }
}
