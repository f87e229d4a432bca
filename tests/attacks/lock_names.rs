// SPDX-License-Identifier: GPL-2.0

//! Lock classes whose name is in the module's memory, and whose key outlives the module. The
//! program reads `/proc/lockdep` after rmmod, so that the debug kernel detects a freed name: on
//! unload, the kernel drops only classes whose name is in the module itself.

// case parameter: harmless
// given: argument=named_by_a_parameter
// leaks

use super::*;
use kernel::sync::LockClassKey;

/// Takes a lock of a class with this name and a leaked key.
fn lock(name: &'static CStr) -> Result {
    let key = boxed(LockClassKey::new_dynamic())?;
    let key: &'static Pin<KBox<LockClassKey>> = KBox::leak(KBox::new(key, GFP_KERNEL)?);
    let mutex = boxed(Mutex::new(0u32, name, key.as_ref()))?;
    *mutex.lock() += 1;
    Ok(())
}

pub(super) fn attack(_case: &[u8]) -> Result<Kept> {
    lock(argument.value().ok_or(EINVAL)?)?;
    Ok(Kept::new())
}
