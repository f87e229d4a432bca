// SPDX-License-Identifier: GPL-2.0

//! The program that execve(2) starts, and the arguments of the current program.
//!
//! C header: [`include/linux/binfmts.h`](srctree/include/linux/binfmts.h)
//!
//! Context: any; nothing here sleeps, locks or faults.

use crate::common::*;
use crate::file::File;

/// A `struct linux_binprm *`: the program that execve(2) starts.
///
/// The third argument of the tracepoint `sched_process_exec`, at which the program is loaded. The
/// kernel may have started it, and it may be a 32-bit program or a script.
///
/// Errors: all methods fail with `EFAULT` if the struct cannot be read.
#[derive(Clone, Copy, PartialEq)]
pub struct Exec(KernelPtr);
from_address!(Exec, |addr| Self(KernelPtr::new(addr)));

impl Exec {
    /// Returns the path that was passed to execve(2). For execveat(2) with a file descriptor, it is
    /// `/dev/fd/N` or `/dev/fd/N/PATH`.
    #[inline]
    pub fn filename(self) -> Result<KernelStr> {
        self.0.field(bindings::KPROBES_BPRM_FILENAME).read()
    }

    /// Returns the path of the loaded program: for a script, that of its interpreter.
    #[inline]
    pub fn interp(self) -> Result<KernelStr> {
        self.0.field(bindings::KPROBES_BPRM_INTERP).read()
    }

    /// Returns the file of the loaded program.
    #[inline]
    pub fn file(self) -> Result<File> {
        self.0.field(bindings::KPROBES_BPRM_FILE).read()
    }

    /// Returns the number of arguments, including those that the kernel adds for a script. It is at
    /// least 1: the kernel adds an empty argument if execve(2) passes none.
    #[inline]
    pub fn argc(self) -> Result<u32> {
        self.0.field(bindings::KPROBES_BPRM_ARGC).read()
    }
}

/// The arguments of a program, as in `/proc/PID/cmdline`.
pub struct Arguments {
    next: usize,
    end: usize,
}

impl Arguments {
    /// Reads the next argument into `buf`, or returns `None` after the last one. An argument whose
    /// end cannot be read is the last one.
    ///
    /// Errors: `EFAULT` if a part that fits into `buf` cannot be read.
    #[inline]
    pub fn read_next<'b>(&mut self, buf: &'b mut [u8]) -> Option<Result<Text<'b>>> {
        let rest = self.end.checked_sub(self.next).filter(|&rest| rest > 0)?;
        let string = UserStr::new(self.next);
        self.next = match string.length(rest) {
            Ok(len) => self.next.saturating_add(len + 1),
            Err(_) => self.end,
        };
        let room = buf.len().min(rest);
        Some(string.read(&mut buf[..room]))
    }
}

impl<At: Place> Context<'_, At> {
    /// Returns the arguments of the current task's program.
    ///
    /// A running program can change them. At the tracepoint `sched_process_exec`, the kernel has
    /// just written them, so their pages are present unless memory is short.
    ///
    /// Errors: `EFAULT` in a kernel thread.
    pub fn program_arguments(&self) -> Result<Arguments> {
        let mm = self.mm();
        Ok(Arguments {
            next: mm.field(bindings::KPROBES_MM_ARG_START).read()?,
            end: mm.field(bindings::KPROBES_MM_ARG_END).read()?,
        })
    }
}
