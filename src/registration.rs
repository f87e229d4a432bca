// SPDX-License-Identifier: GPL-2.0

//! Registering, arming and unregistering probes: the only way in and out.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Context: process context; all of it sleeps.
//!
//! `register_kprobe()` and `unregister_kprobe()` promise less than they seem to,
//! and each of these can end in a use after free:
//!
//! - `register_kprobe()` returns 0 although arming the probe failed. So a probe is registered
//!   disabled, which cannot fail that way, and then enabled, which reports it.
//! - A post handler that joins a probe without one, at a function's entry that ftrace has, makes the
//!   kernel disarm both with the wrong `ftrace_ops`: it warns, miscounts, and keeps the probe on its
//!   list. So the kernel is never told of a post handler there, see [`crate::kprobe`].
//! - `unregister_kprobe()` returns nothing although it failed to disarm the probe, and keeps it. So a
//!   probe is disabled first, which reports it.

use crate::{
    bindings,
    kernel_ext::may_wait::may_wait, //
};
use core::{
    mem::offset_of,
    ptr, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// A `struct kprobe` or `struct kretprobe`.
///
/// # Safety
///
/// All zeroes must be a value of the type, and it must begin with a `struct
/// kprobe`.
pub unsafe trait Raw: Sized {
    /// Where the kernel counts calls that it had no instance for, or null.
    ///
    /// # Safety
    ///
    /// `this` must be valid.
    unsafe fn missed_returns(this: *mut Self) -> *const c_int;

    /// Registers it.
    ///
    /// # Safety
    ///
    /// `this` must be filled in and pinned, and not be registered.
    unsafe fn register(this: *mut Self) -> c_int;

    /// Unregisters all of `these`, in one grace period.
    ///
    /// # Safety
    ///
    /// All of `these` must be registered, and disabled.
    unsafe fn unregister(these: &mut [*mut Self]);
}

// SAFETY: A `struct kprobe` consists of integers and of pointers that may be null.
unsafe impl Raw for bindings::kprobe {
    #[inline(always)]
    unsafe fn missed_returns(_this: *mut Self) -> *const c_int {
        ptr::null()
    }

    #[inline(always)]
    unsafe fn register(this: *mut Self) -> c_int {
        // SAFETY: By the safety requirements of this function.
        unsafe { bindings::register_kprobe(this) }
    }

    #[inline(always)]
    unsafe fn unregister(these: &mut [*mut Self]) {
        // SAFETY: By the safety requirements of this function; the length is that of the array.
        unsafe { bindings::unregister_kprobes(these.as_mut_ptr(), these.len() as c_int) };
    }
}

const _: () = assert!(offset_of!(bindings::kretprobe, kp) == 0);

// SAFETY: A `struct kretprobe` consists of integers and of pointers that may be null, and begins with
// a kprobe, as was just asserted.
unsafe impl Raw for bindings::kretprobe {
    #[inline(always)]
    unsafe fn missed_returns(this: *mut Self) -> *const c_int {
        // SAFETY: By the safety requirements, `this` is valid.
        unsafe { &raw const (*this).nmissed }
    }

    #[inline(always)]
    unsafe fn register(this: *mut Self) -> c_int {
        // SAFETY: By the safety requirements of this function.
        unsafe { bindings::register_kretprobe(this) }
    }

    #[inline(always)]
    unsafe fn unregister(these: &mut [*mut Self]) {
        // SAFETY: By the safety requirements of this function; the length is that of the array.
        unsafe { bindings::unregister_kretprobes(these.as_mut_ptr(), these.len() as c_int) };
    }
}

/// Which registration of a probe is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    First,
    /// After [`Plan::settle`] has asked for it.
    Again,
}

/// How a kind of probe is set up.
///
/// # Safety
///
/// `fill` must set callbacks that may be called for the probe that it is passed,
/// until that is unregistered.
pub(crate) unsafe trait Plan<K> {
    /// Fills in `probe`, which is all zeroes, for registration.
    fn fill(&self, probe: &mut K, round: Round);

    /// Looks at a probe that the kernel has taken in the first round, and is
    /// disabled: whether it has to be registered again, or is refused.
    ///
    /// # Safety
    ///
    /// `probe` must be registered, and disabled.
    unsafe fn settle(&self, probe: *mut K) -> Result<Round>;
}

/// Registers and enables `probes`, and returns how many: they are moved to the
/// front of the slice. For each of the others, `refused` is called with the
/// reason. Where that returns an error, none of them stays registered, and the
/// error is returned; as is that of [`may_wait`].
///
/// The ways of a probe:
///
/// ```text
/// fill -> register disabled -> settle -> enable -> registered
///              |                 | |        |
///              |      withdraw <-+ |        |
///              |         |         |        |
///              |   fill again, register -> enable -> registered
///              |         |                  |
///              +---------+------------------+------> refused
/// ```
///
/// # Safety
///
/// The probes must be valid for writing and pinned, and not be registered. They
/// must stay so until they are unregistered.
#[inline(always)]
pub(crate) unsafe fn register<K: Raw, P: Plan<K>>(
    probes: &mut [*mut K],
    plan: impl Fn(*mut K) -> P,
    mut refused: impl FnMut(*mut K, Error) -> Result,
) -> Result<usize> {
    may_wait()?;

    // Those that are registered: of them, `settled` are as they have to be, and the others are to
    // be registered again.
    let mut registered = 0;
    let mut settled = 0;
    // SAFETY: By the safety requirements, all of them may be registered; what is registered is
    // unregistered once, or left to the caller.
    unsafe {
        for i in 0..probes.len() {
            let probe = probes[i];
            let admitted = add(probe, plan(probe), Round::First).and_then(|()| {
                plan(probe)
                    .settle(probe)
                    .inspect_err(|_| K::unregister(&mut [probe]))
            });
            match admitted {
                Ok(round) => {
                    probes.swap(registered, i);
                    if round == Round::First {
                        probes.swap(settled, registered);
                        settled += 1;
                    }
                    registered += 1;
                }
                Err(error) => refused(probe, error)
                    .inspect_err(|_| K::unregister(&mut probes[..registered]))?,
            }
        }

        if settled < registered {
            let again = settled..registered;
            K::unregister(&mut probes[again.clone()]);
            for i in again {
                let probe = probes[i];
                match add(probe, plan(probe), Round::Again) {
                    Ok(()) => {
                        probes.swap(settled, i);
                        settled += 1;
                    }
                    Err(error) => refused(probe, error)
                        .inspect_err(|_| K::unregister(&mut probes[..settled]))?,
                }
            }
        }

        let mut enabled = 0;
        while enabled < settled {
            let probe = probes[enabled];
            let Err(error) = arm(probe.cast()) else {
                enabled += 1;
                continue;
            };
            if let Err(error) = refused(probe, error) {
                disarm(&probes[..enabled]);
                K::unregister(&mut probes[..settled]);
                return Err(error);
            }
            K::unregister(&mut [probe]);
            settled -= 1;
            probes.swap(enabled, settled);
        }
        Ok(settled)
    }
}

/// Registers a probe disabled: no handler runs, and there is nothing that could
/// fail to be armed.
///
/// # Safety
///
/// `probe` must be valid for writing and pinned, and not be registered.
#[inline(always)]
unsafe fn add<K: Raw>(probe: *mut K, plan: impl Plan<K>, round: Round) -> Result {
    // SAFETY: By the safety requirements, `probe` is valid for writing, and nobody else uses it;
    // all zeroes is a value of it.
    unsafe {
        probe.write_bytes(0, 1);
        plan.fill(&mut *probe, round);
    }
    let kp: *mut bindings::kprobe = probe.cast();
    // SAFETY: `kp` lies in `probe`, which is not registered yet.
    unsafe { (*kp).flags = bindings::KPROBE_FLAG_DISABLED };
    // SAFETY: By the safety requirements; it has just been filled in.
    to_result(unsafe { K::register(probe) })?;
    // The caller owns the name, and may take it back. Only `dump_kprobe()` would read it, before a
    // panic, and prints "(null)" then.
    //
    // SAFETY: `kp` is valid, and nobody else writes this field.
    unsafe { (*kp).symbol_name = ptr::null() };
    Ok(())
}

/// Disables probes, so that unregistering them cannot fail.
///
/// Where the kernel cannot disarm one, this blocks forever: the memory that the
/// kernel goes on using must not be freed.
///
/// # Safety
///
/// Each of `probes` must be registered.
#[inline]
unsafe fn disarm<K: Raw>(probes: &[*mut K]) {
    for &probe in probes {
        // SAFETY: By the safety requirements, `probe` is registered, and begins with a kprobe.
        unsafe { bindings::kprobes_disarm(probe.cast()) };
    }
}

/// Lets the handlers of a registered probe run: from now on, or from the moment
/// on in which kprobes are switched on globally.
///
/// # Errors
///
/// That of arming it; the probe is registered and disabled as before.
///
/// # Safety
///
/// `kp` must be registered, and the caller be allowed to sleep.
#[inline]
unsafe fn arm(kp: *mut bindings::kprobe) -> Result {
    // SAFETY: By the safety requirements of this function.
    to_result(unsafe { bindings::kprobes_enable(kp) })
}

/// As `enable_kprobe()`, also while kprobes are off globally.
///
/// # Errors
///
/// That of arming it, or of [`may_wait`]; the probe is registered and disabled as
/// before.
///
/// # Safety
///
/// `kp` must be registered.
#[inline]
pub(crate) unsafe fn enable(kp: *mut bindings::kprobe) -> Result {
    may_wait()?;
    // SAFETY: By the safety requirements, and as was just asked.
    unsafe { arm(kp) }
}

/// As `disable_kprobe()`.
///
/// # Errors
///
/// That of disarming it, or of [`may_wait`]; the probe is enabled as before.
///
/// # Safety
///
/// `kp` must be registered.
#[inline]
pub(crate) unsafe fn disable(kp: *mut bindings::kprobe) -> Result {
    may_wait()?;
    // SAFETY: By the safety requirements of this function.
    to_result(unsafe { bindings::disable_kprobe(kp) })
}
