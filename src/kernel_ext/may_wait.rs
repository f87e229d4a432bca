// SPDX-License-Identifier: GPL-2.0

//! Whether the caller may sleep, as far as the kernel can tell.
//!
//! `might_sleep()` only warns, and only where it is configured to.

use crate::prelude::*;

/// Checks that `object` may be registered, and that the caller may sleep.
///
/// Errors: `EDEADLK` in atomic context, and `EINVAL` on the stack of the current task: a task that
/// ends in a `BUG()`, as in a Rust panic, drops nothing, and its stack is freed.
#[inline]
pub(crate) fn may_register<T>(object: *const T) -> Result {
    // SAFETY: The function looks at the current task, and compares the address with its stack.
    to_result(unsafe { bindings::kprobes_may_register(object.cast()) })
}

/// Checks that the caller may sleep: what registers, enables or disables takes a mutex.
///
/// Errors: `EDEADLK` in a handler, under a spinlock, with interrupts or preemption off, or in an
/// RCU section.
#[inline]
pub(crate) fn may_wait() -> Result {
    may_register(ptr::null::<()>())
}
