// SPDX-License-Identifier: GPL-2.0

//! Lock classes that the module's memory names, and whose key outlives the module. The
//! program reads `/proc/lockdep` after rmmod, so that the debug kernel sees a name that
//! was freed: the kernel drops only the classes whose name is in the module itself.

// case parameter: harmless
// given: argument=named_by_a_parameter
// leaks
// case literal: harmless
// given: argument=not_the_name
// leaks

#![forbid(unsafe_code)]

use super::{argument, Kept};
use kernel::{
    prelude::*,
    sync::{LockClassKey, Mutex},
};

/// Uses a lock of a class with this name, whose key is never freed.
fn lock(name: &'static CStr) -> Result {
    let key = KBox::pin_init(LockClassKey::new_dynamic(), GFP_KERNEL)?;
    let key: &'static Pin<KBox<LockClassKey>> = KBox::leak(KBox::new(key, GFP_KERNEL)?);
    let mutex = KBox::pin_init(Mutex::new(0u32, name, key.as_ref()), GFP_KERNEL)?;
    *mutex.lock() += 1;
    Ok(())
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"parameter" => lock(argument.value().ok_or(EINVAL)?)?,
        b"literal" => lock(c"named_by_a_literal")?,
        _ => return Err(ENOTTY),
    }
    Ok(Kept::new())
}
