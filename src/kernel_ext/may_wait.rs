// SPDX-License-Identifier: GPL-2.0

//! Whether one may wait here, as far as the kernel can tell.
//!
//! `might_sleep()` only warns, and only where it is configured to.

use crate::prelude::*;

/// Whether one may wait here: what registers, enables or disables takes a mutex.
///
/// # Errors
///
/// `EDEADLK` in a handler, under a spinlock, with interrupts or preemption off, or in an RCU
/// section.
#[inline]
pub(crate) fn may_wait() -> Result {
    // SAFETY: The function only looks at the current task and CPU.
    if unsafe { bindings::kprobes_must_not_wait() } {
        // The kernel crate of Linux 7.2 has no name for it.
        return Err(Error::from_errno(-(bindings::EDEADLK as c_int)));
    }
    Ok(())
}
