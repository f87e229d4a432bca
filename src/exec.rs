// SPDX-License-Identifier: GPL-2.0

//! A program that is being executed, and the arguments of the current one.
//!
//! C header: [`include/linux/binfmts.h`](srctree/include/linux/binfmts.h)
//!
//! Context: any; nothing here sleeps, locks or faults.

use crate::common::*;
use crate::file::File;

/// A `struct linux_binprm *`: a program that is being executed.
///
/// The tracepoint `sched_process_exec` has it as its third argument. There, the program has been
/// loaded, also for a 32-bit program, a script, or a program that the kernel starts.
///
/// Errors: all methods fail with `EFAULT` if it cannot be read.
#[derive(Clone, Copy, PartialEq)]
pub struct Exec(KernelPtr);
from_address!(Exec, |addr| Self(KernelPtr::new(addr)));

impl Exec {
    /// Returns the path that was passed to execve(2), or `/dev/fd/N` or `/dev/fd/N/PATH` if
    /// execveat(2) has got a descriptor.
    #[inline]
    pub fn filename(self) -> Result<KernelStr> {
        self.0.field(bindings::KPROBES_BPRM_FILENAME).read()
    }

    /// Returns the path of the program that runs. It is the interpreter's if [`Exec::filename`] is
    /// a script.
    #[inline]
    pub fn interp(self) -> Result<KernelStr> {
        self.0.field(bindings::KPROBES_BPRM_INTERP).read()
    }

    /// Returns the file of the program that runs.
    #[inline]
    pub fn file(self) -> Result<File> {
        self.0.field(bindings::KPROBES_BPRM_FILE).read()
    }

    /// Returns the number of arguments, including those that the kernel adds for a script. It is
    /// not 0: if a program is executed without arguments, the kernel adds an empty one.
    #[inline]
    pub fn argc(self) -> Result<u32> {
        self.0.field(bindings::KPROBES_BPRM_ARGC).read()
    }
}

/// The arguments of a program, which lie one after the other in its memory, as in
/// `/proc/PID/cmdline`.
pub struct Arguments {
    next: usize,
    end: usize,
}

impl Arguments {
    /// Reads the next argument into `buf`. There is none after one whose end cannot be read.
    ///
    /// Errors: `EFAULT` if a part of what fits cannot be read.
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
    /// The program can change them. It has not run yet at the tracepoint `sched_process_exec`,
    /// where the kernel has just written them, so their pages are present unless memory is short.
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
