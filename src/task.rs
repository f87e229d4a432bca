// SPDX-License-Identifier: GPL-2.0

//! The current task in a [`Context`].
//!
//! C header: [`include/linux/sched.h`](srctree/include/linux/sched.h)
//!
//! Context: any; nothing here sleeps, locks or faults. Structs that other CPUs may change or free
//! concurrently, such as the parent, are read by non-faulting reads, so a value may be wrong.

use crate::context::{Context, Place};
use crate::kernel_ext::nofault::KernelPtr;
use crate::prelude::*;
use crate::regs::current_field;
use kernel::task::Pid;

/// Declares methods that return a field of the current task or of its credentials.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $read:ident($offset:ident);)*) => {
        $(
            $(#[$doc])*
            #[inline(always)]
            pub fn $name(&self) -> $type {
                // SAFETY: The struct has a field of this type at this offset.
                unsafe { $read(bindings::$offset) }
            }
        )*
    };
}

impl<At: Place> Context<'_, At> {
    fields! {
        /// Returns the current task's `task_struct::pid` in the initial namespace, which is the
        /// thread ID in user space.
        pid: Pid = current_field(KPROBES_TASK_PID);
        /// Returns the current task's `task_struct::tgid` in the initial namespace, which is the
        /// process ID in user space.
        tgid: Pid = current_field(KPROBES_TASK_TGID);
        /// Returns the current task's name.
        ///
        /// If another thread changes the name concurrently, the copy may be a mix of both.
        comm: Comm = current_field(KPROBES_TASK_COMM);
        /// Returns the current task's effective user ID in the initial namespace
        /// (`current_euid()`).
        euid: u32 = credential(KPROBES_CRED_EUID);
        /// Returns the current task's real user ID in the initial namespace (`current_uid()`).
        uid: u32 = credential(KPROBES_CRED_UID);
        /// Returns the current task's real group ID in the initial namespace (`current_gid()`).
        gid: u32 = credential(KPROBES_CRED_GID);
    }

    /// Returns the process ID of the current process' parent in the initial namespace, as `PPid:`
    /// in `/proc/PID/status`: `real_parent->tgid`.
    ///
    /// If the parent exits concurrently, this is the ID of the old or the new parent, or any number
    /// if the kernel frees the old parent.
    #[inline]
    pub fn ppid(&self) -> Pid {
        // SAFETY: `real_parent` is a pointer, and this is its offset.
        unsafe { read_through(bindings::KPROBES_TASK_PARENT, bindings::KPROBES_TASK_TGID) }
    }

    /// Returns the current task's `pid` in its own PID namespace, which may be that of a container:
    /// the last number of `NSpid:` in `/proc/PID/status`. It is 0 at the end of a task's exit, when
    /// the kernel has detached the number.
    ///
    /// C function: `task_pid_vnr()`.
    #[inline]
    pub fn pid_vnr(&self) -> Pid {
        // SAFETY: `thread_pid` is a pointer, and that is its offset.
        number_of(unsafe { current_field(bindings::KPROBES_TASK_THREAD_PID) }).unwrap_or(0)
    }

    /// Returns the current task's `tgid` in its own PID namespace: the last number of `NStgid:` in
    /// `/proc/PID/status`. It may be 0, like [`pid_vnr`](Context::pid_vnr).
    ///
    /// C function: `task_tgid_vnr()`.
    #[inline]
    pub fn tgid_vnr(&self) -> Pid {
        // SAFETY: `signal` is a pointer, and that is its offset.
        let signal: KernelPtr = unsafe { current_field(bindings::KPROBES_TASK_SIGNAL) };
        let pid = signal.field(bindings::KPROBES_SIGNAL_TGID).read();
        pid.and_then(number_of).unwrap_or(0)
    }

    /// Returns the ID of the current task's cgroup in the default hierarchy (cgroup v2), like
    /// `bpf_get_current_cgroup_id()`: the inode number of its directory, by which a container can
    /// be identified. It is 0 without `CONFIG_CGROUPS`.
    ///
    /// If the task is moved to another cgroup concurrently, this is the ID of either, or any number
    /// if the kernel frees the old cgroup.
    #[inline]
    pub fn cgroup_id(&self) -> u64 {
        #[cfg(CONFIG_CGROUPS)]
        {
            // SAFETY: `cgroups` is a pointer, and that is its offset.
            let set: KernelPtr = unsafe { current_field(bindings::KPROBES_TASK_CGROUPS) };
            let read = || {
                let cgroup: KernelPtr = set.field(bindings::KPROBES_CGROUPS_DEFAULT).read()?;
                let node: KernelPtr = cgroup.field(bindings::KPROBES_CGROUP_NODE).read()?;
                node.field(bindings::KPROBES_NODE_ID).read()
            };
            read().unwrap_or(0)
        }

        #[cfg(not(CONFIG_CGROUPS))]
        0
    }

    /// Returns when the current process started, in nanoseconds since boot including suspend, see
    /// [`boot_ns`](Context::boot_ns). It is `starttime` of `/proc/PID/stat`, there in hundredths of
    /// a second. Together with [`tgid`](Context::tgid), it identifies a process uniquely.
    #[inline]
    pub fn start_time_ns(&self) -> u64 {
        // SAFETY: `group_leader` is a pointer, and this is its offset.
        unsafe { read_through(bindings::KPROBES_TASK_LEADER, bindings::KPROBES_TASK_START) }
    }

    /// Returns the current task's address space, `task_struct::mm`, which is null in a kernel
    /// thread. execve(2) creates a new one.
    #[inline(always)]
    pub fn mm(&self) -> KernelPtr<bindings::mm_struct> {
        // SAFETY: `mm` is a pointer, and that is its offset.
        unsafe { current_field(bindings::KPROBES_TASK_MM) }
    }

    /// Returns whether the current task is a kernel thread (`PF_KTHREAD`).
    #[inline(always)]
    pub fn is_kernel_thread(&self) -> bool {
        // SAFETY: `flags` is an `unsigned int`, and that is its offset.
        let flags: c_uint = unsafe { current_field(bindings::KPROBES_TASK_FLAGS) };
        flags & bindings::PF_KTHREAD != 0
    }
}

/// Reads a field of the current task's subjective credentials.
///
/// # Safety
///
/// `struct cred` must have a `u32` at `offset`.
#[inline(always)]
unsafe fn credential(offset: usize) -> u32 {
    // SAFETY: `cred` is a pointer, and that is its offset.
    let cred: *const u8 = unsafe { current_field(bindings::KPROBES_TASK_CRED) };
    // SAFETY: A `struct cred` in use does not change, and only the task itself can replace it. By
    // the safety requirements, it has a `u32` at `offset`.
    unsafe { cred.byte_add(offset).cast::<u32>().read() }
}

/// Returns the number of a `struct pid` in its innermost namespace.
#[inline]
fn number_of(pid: KernelPtr) -> Result<Pid> {
    let level: u32 = pid.field(bindings::KPROBES_PID_LEVEL).read()?;
    // The memory may have been freed and reused.
    if level > bindings::KPROBES_PID_MAX_LEVEL {
        return Err(EFAULT);
    }
    let number = level as usize * bindings::KPROBES_PID_NUMBER_SIZE;
    pid.field(bindings::KPROBES_PID_NUMBERS + number).read()
}

/// Reads `current->pointer->field`, each given by its offset, or returns 0 if it cannot be read.
///
/// # Safety
///
/// `struct task_struct` must have a pointer at `pointer`.
unsafe fn read_through<T: kernel::transmute::FromBytes + Default>(
    pointer: usize,
    field: usize,
) -> T {
    // SAFETY: By the safety requirements, there is a pointer at this offset.
    let target: KernelPtr = unsafe { current_field(pointer) };
    target.field(field).read().unwrap_or_default()
}

display_by_core!([] Comm);

/// The name of a task (`task_struct::comm`).
///
/// `Display` escapes all but printable ASCII, because a program can choose its name, and could put
/// newlines and terminal escape codes into the log.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Comm(pub(crate) [u8; bindings::TASK_COMM_LEN as usize]);

impl Comm {
    pub(crate) const SIZE: usize = bindings::TASK_COMM_LEN as usize;

    /// Reads the name of another task, for example an argument of a tracepoint. If the task changes
    /// its name concurrently, the copy may be a mix of both.
    ///
    /// Errors: `EFAULT` if the name cannot be read.
    #[inline]
    pub fn of<Task>(task: KernelPtr<Task>) -> Result<Self> {
        task.field(bindings::KPROBES_TASK_COMM).read().map(Self)
    }

    /// Returns the name as two words. Bytes after the NUL are 0.
    #[inline(always)]
    pub(crate) fn into_words(self) -> (u64, u64) {
        const { assert!(Self::SIZE == 16) };
        const ONES: u64 = u64::from_le_bytes([0x01; 8]);
        const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
        let name = u128::from_le_bytes(self.0);
        let (first, second) = (name as u64, (name >> 64) as u64);
        // The lowest set bit is in the byte of the first NUL; the bits below it are kept.
        let nul = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
        let before = |word: u64| word & (nul(word) & nul(word).wrapping_neg()).wrapping_sub(1);
        (
            before(first),
            if nul(first) == 0 { before(second) } else { 0 },
        )
    }

    /// The inverse of [`Comm::into_words`].
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

/// In double quotes, with `"` and `\` escaped, too: a name may contain spaces.
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
