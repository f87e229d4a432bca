// SPDX-License-Identifier: GPL-2.0

//! Checks whether the caller may sleep.
//!
//! `might_sleep()` only warns, and only in kernels that are configured for it.

use crate::prelude::*;

/// Checks that `object` may be registered, and that the caller may sleep.
///
/// Errors: `EDEADLK` in atomic context; `EINVAL` if `object` is on the stack of the current task. A
/// task that ends in a `BUG()`, as a Rust panic does, drops nothing, but its stack is freed.
#[inline]
pub(crate) fn may_register<T>(object: *const T) -> Result {
    // SAFETY: The function does not dereference the pointer.
    to_result(unsafe { bindings::kprobes_may_register(object.cast()) })
}

/// Checks that the caller may sleep.
///
/// Errors: `EDEADLK` in a handler, under a spinlock, with interrupts or preemption disabled, or in
/// an RCU read-side critical section.
#[inline]
pub(crate) fn may_wait() -> Result {
    may_register(ptr::null::<()>())
}
