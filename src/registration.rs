// SPDX-License-Identifier: GPL-2.0

//! Registration of probes.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Context: process context; all of it sleeps.
//!
//! Used as they are, `register_kprobe()` and `unregister_kprobe()` of Linux 7.2
//! can each end in a use after free:
//!
//! - `register_kprobe()` returns 0 although arming the probe failed. So a probe is registered
//!   disabled, where nothing has to be armed, and then enabled, which reports the error.
//! - When a probe with a post handler joins one without at an ftrace call, the kernel later disarms
//!   both with the wrong `ftrace_ops`: it warns, miscounts, and keeps a freed probe on its list. So
//!   the kernel is never told of a post handler there, see `kprobe/calls.rs`.
//! - `unregister_kprobe()` returns nothing although disarming failed and the kernel keeps the
//!   probe. So a probe is disabled first, which reports the error.
//! - `unregister_kprobe()` waits for RCU, which ignores a CPU in the last steps of going offline
//!   and in the first ones of coming online. So the hotplug lock is taken, too, before and after:
//!   what the kernel frees may be in use on that CPU, and what the caller frees.

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
/// All zeroes must be a valid value of the type, and its first field must be a
/// `struct kprobe`.
pub unsafe trait Raw: Sized {
    /// Returns a pointer to `kretprobe::nmissed`, or null for a kprobe.
    ///
    /// # Safety
    ///
    /// `this` must be valid.
    unsafe fn missed_returns(this: *mut Self) -> *const c_int;

    /// Registers a probe.
    ///
    /// # Safety
    ///
    /// `this` must be filled in, pinned, and not registered.
    unsafe fn register(this: *mut Self) -> c_int;

    /// Unregisters all of `these`, in one grace period.
    ///
    /// # Safety
    ///
    /// All of `these` must be registered and disabled.
    unsafe fn unregister(these: &mut [*mut Self]);
}

// SAFETY: A `struct kprobe` consists of integers and nullable pointers.
unsafe impl Raw for bindings::kprobe {
    #[inline(always)]
    unsafe fn missed_returns(_this: *mut Self) -> *const c_int {
        ptr::null()
    }

    #[inline(always)]
    unsafe fn register(this: *mut Self) -> c_int {
        // SAFETY: By the safety requirements, `this` is filled in, pinned, and not registered.
        unsafe { bindings::register_kprobe(this) }
    }

    #[inline(always)]
    unsafe fn unregister(these: &mut [*mut Self]) {
        // SAFETY: By the safety requirements, these are registered; the length is that of the
        // slice.
        unsafe { bindings::unregister_kprobes(these.as_mut_ptr(), these.len() as c_int) };
    }
}

const _: () = assert!(offset_of!(bindings::kretprobe, kp) == 0);

// SAFETY: A `struct kretprobe` consists of integers and nullable pointers, and its first field is a
// kprobe, as asserted above.
unsafe impl Raw for bindings::kretprobe {
    #[inline(always)]
    unsafe fn missed_returns(this: *mut Self) -> *const c_int {
        // SAFETY: By the safety requirements, `this` is valid.
        unsafe { &raw const (*this).nmissed }
    }

    #[inline(always)]
    unsafe fn register(this: *mut Self) -> c_int {
        // SAFETY: By the safety requirements, `this` is filled in, pinned, and not registered.
        unsafe { bindings::register_kretprobe(this) }
    }

    #[inline(always)]
    unsafe fn unregister(these: &mut [*mut Self]) {
        // SAFETY: By the safety requirements, these are registered; the length is that of the
        // slice.
        unsafe { bindings::unregister_kretprobes(these.as_mut_ptr(), these.len() as c_int) };
    }
}

/// Whether `object` may hold something registered, and the caller may sleep.
///
/// # Errors
///
/// That of [`may_wait`], and `EINVAL` on the stack of the current task: a task that
/// ends in a `BUG()`, as every panic does, drops nothing, and its stack is freed.
#[inline]
pub(crate) fn may_register<T>(object: *const T) -> Result {
    may_wait()?;
    // SAFETY: The function only compares the address with those of the stack.
    if unsafe { bindings::kprobes_on_stack(object.cast()) } {
        return Err(EINVAL);
    }
    Ok(())
}

/// A probe is registered once, or twice if [`Plan::settle`] asks for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    First,
    Again,
}

/// How a kind of probe is set up.
///
/// # Safety
///
/// `fill` must set callbacks that may be called for the probe until it is
/// unregistered.
pub(crate) unsafe trait Plan<K> {
    /// Fills in `probe`, which is all zeroes, for registration.
    fn fill(&self, probe: &mut K, round: Round);

    /// Decides, after the first registration, whether the probe can be enabled
    /// ([`Round::First`]), has to be registered again ([`Round::Again`]), or is
    /// refused.
    ///
    /// # Safety
    ///
    /// `probe` must be registered and disabled.
    unsafe fn settle(&self, probe: *mut K) -> Result<Round>;

    /// Whether the probe stays disabled when it is registered.
    #[inline(always)]
    fn disabled(&self) -> bool {
        false
    }
}

/// Registers and enables `probes`, except those that [`Plan::disabled`] keeps disabled, moves those that succeed to the front of the
/// slice, and returns how many they are.
///
/// `refused` is called for each of the others. If it returns an error, none of
/// `probes` stays registered and that error is returned.
///
/// States of a probe:
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
/// The probes must be valid for writing, pinned, and not registered. They and
/// what the callbacks of `plan` use must stay valid until they are unregistered. The
/// caller must have asked [`may_register`].
#[inline(always)]
pub(crate) unsafe fn register<K: Raw, P: Plan<K>>(
    probes: &mut [*mut K],
    plan: impl Fn(*mut K) -> P,
    mut refused: impl FnMut(*mut K, Error) -> Result,
) -> Result<usize> {
    // The first `registered` probes are registered. The first `settled` of them can be enabled, the
    // others have to be registered again.
    let mut registered = 0;
    let mut settled = 0;
    for i in 0..probes.len() {
        let probe = probes[i];
        // SAFETY: By the safety requirements, `probe` is valid, pinned and not registered.
        let added = unsafe { add(probe, plan(probe), Round::First) };
        let admitted = added.and_then(|()| {
            // SAFETY: `add` has registered `probe`, disabled.
            let round = unsafe { plan(probe).settle(probe) };
            // SAFETY: As above.
            round.inspect_err(|_| unsafe { K::unregister(&mut [probe]) })
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
            Err(error) => refused(probe, error).inspect_err(|_| {
                // SAFETY: These are registered, and none has been enabled.
                unsafe { K::unregister(&mut probes[..registered]) }
            })?,
        }
    }

    if settled < registered {
        let again = settled..registered;
        // SAFETY: These are registered, and none has been enabled.
        unsafe { K::unregister(&mut probes[again.clone()]) };
        for i in again {
            let probe = probes[i];
            // SAFETY: `probe` is valid and pinned, and has just been unregistered.
            match unsafe { add(probe, plan(probe), Round::Again) } {
                Ok(()) => {
                    probes.swap(settled, i);
                    settled += 1;
                }
                Err(error) => refused(probe, error).inspect_err(|_| {
                    // SAFETY: These are registered, and none has been enabled.
                    unsafe { K::unregister(&mut probes[..settled]) }
                })?,
            }
        }
    }

    let mut enabled = 0;
    while enabled < settled {
        let probe = probes[enabled];
        if plan(probe).disabled() {
            enabled += 1;
            continue;
        }
        // SAFETY: `probe` is registered, and begins with a kprobe.
        let Err(error) = (unsafe { arm(probe.cast()) }) else {
            enabled += 1;
            continue;
        };
        if let Err(error) = refused(probe, error) {
            // SAFETY: These are registered.
            unsafe { disarm(&probes[..enabled]) };
            // SAFETY: These are registered; those that were enabled have just been disabled.
            unsafe { K::unregister(&mut probes[..settled]) };
            // SAFETY: The function only waits.
            unsafe { bindings::kprobes_wait_for_cpus() };
            return Err(error);
        }
        // SAFETY: `probe` is registered, and could not be enabled.
        unsafe { K::unregister(&mut [probe]) };
        settled -= 1;
        probes.swap(enabled, settled);
    }
    Ok(settled)
}

/// Registers a probe, disabled.
///
/// # Safety
///
/// `probe` must be valid for writing, pinned, and not registered.
#[inline(always)]
unsafe fn add<K: Raw>(probe: *mut K, plan: impl Plan<K>, round: Round) -> Result {
    // SAFETY: By the safety requirements, `probe` is valid for writing.
    unsafe { probe.write_bytes(0, 1) };
    // SAFETY: All zeroes is a valid value, by the safety requirements of `Raw`. Nobody else
    // accesses a probe that is not registered.
    plan.fill(unsafe { &mut *probe }, round);
    let kp: *mut bindings::kprobe = probe.cast();
    // SAFETY: `kp` is the first field of `probe`, which is not registered yet.
    unsafe { (*kp).flags = bindings::KPROBE_FLAG_DISABLED };
    // SAFETY: By the safety requirements, `probe` is pinned and not registered; it was filled in
    // above.
    to_result(unsafe { K::register(probe) })?;
    // The caller owns the name and need not keep it. Only `dump_kprobe()` would read it, before a
    // panic; it prints "(null)".
    //
    // SAFETY: `kp` is valid, and nobody else writes this field.
    unsafe { (*kp).symbol_name = ptr::null() };
    Ok(())
}

/// Registers a kprobe as `plan` says, disabled, and unregisters it.
///
/// # Errors
///
/// That of registering it, or of [`may_wait`]; `ENOMEM`.
pub(crate) fn try_out(plan: impl Plan<bindings::kprobe>) -> Result {
    may_wait()?;
    let mut probe = KBox::new_uninit(GFP_KERNEL)?;
    // SAFETY: The probe is valid for writing, not registered, and in a box that stays where it is.
    unsafe { add(probe.as_mut_ptr(), plan, Round::First) }?;
    // SAFETY: It has just been registered, disabled.
    unsafe { bindings::kprobe::unregister(&mut [probe.as_mut_ptr()]) };
    Ok(())
}

/// Disables probes, so that unregistering them cannot fail, and waits for CPUs that go offline or
/// come online.
///
/// Blocks forever if the kernel cannot disarm one, because its memory must not be
/// freed.
///
/// # Safety
///
/// Each of `probes` must be registered.
#[inline]
unsafe fn disarm<K: Raw>(probes: &[*mut K]) {
    for &probe in probes {
        // SAFETY: By the safety requirements, `probe` is registered; its first field is a kprobe.
        unsafe { bindings::kprobes_disarm(probe.cast()) };
    }
    // SAFETY: The function only waits.
    unsafe { bindings::kprobes_wait_for_cpus() };
}

/// Enables a registered probe. While kprobes are disabled globally, this takes
/// effect once they are enabled.
///
/// # Errors
///
/// The error of arming it; the probe stays registered and disabled.
///
/// # Safety
///
/// `kp` must be registered, and the caller be allowed to sleep.
#[inline]
unsafe fn arm(kp: *mut bindings::kprobe) -> Result {
    // SAFETY: By the safety requirements, `kp` is registered.
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
