// SPDX-License-Identifier: GPL-2.0
// error: no C string
// The name of a system call that has a NUL in it is found when it is compiled, not by a panic.

use kprobes::Target;

pub fn target() -> Target<'static> {
    kprobes::syscall!("execve\0at")
}
