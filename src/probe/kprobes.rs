// SPDX-License-Identifier: GPL-2.0

//! Registration of kprobes and kretprobes.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Context: process context; it sleeps. For queries: any.
//!
//! This file works around problems of `register_kprobe()` and `unregister_kprobe()` in Linux 7.2,
//! which can end in a use after free:
//!
//! - `register_kprobe()` returns 0 although arming the probe failed. So the probe is registered
//!   disabled, which does not arm it, and then enabled, which returns the error.
//! - If a probe with a post handler is registered at an ftrace call that has a probe without one,
//!   the kernel later disarms both with the wrong `ftrace_ops`: it warns, miscounts, and keeps a
//!   freed probe on its list. So the library does not set `post_handler` there, see `kprobe.rs`.
//! - `unregister_kprobe()` returns `void` although disarming may fail and the kernel then keeps the
//!   probe. So the probe is disabled first, which returns the error.
//! - `unregister_kprobe()` waits for RCU, which does not watch a CPU in the last steps of going
//!   offline and in the first steps of coming online. A handler on this CPU may use memory that the
//!   kernel or the caller frees. So the library takes the hotplug lock, before and after.

use super::{
    Kind,
    Mechanism,
    Raw, //
};
use crate::kernel_ext::may_wait::may_wait;
use crate::prelude::*;

/// A `struct kprobe` or `struct kretprobe`.
///
/// # Safety
///
/// All zeroes must be a valid value of the type, and its first field must be a `struct kprobe`.
pub unsafe trait Kprobes: Sized {
    type Plan<'a>: Plan<Self>;

    /// `register_kprobe()` or `register_kretprobe()`. The probe must be filled in, pinned, and not
    /// registered.
    const REGISTER: unsafe extern "C" fn(*mut Self) -> c_int;

    /// Whether `Self` is `struct kretprobe`.
    const RETURNS: bool;

    /// Returns the number of missed calls that `kprobe::nmissed` does not include.
    ///
    /// # Safety
    ///
    /// `this` must be valid.
    #[inline(always)]
    unsafe fn missed_returns(_this: *const Self) -> u32 {
        0
    }
}

/// A probe is registered once, or again if [`Plan::check`] requires it.
#[allow(unreachable_pub, reason = "sealed")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Round {
    First,
    Again,
}

/// The target, callbacks and options of a probe.
///
/// # Safety
///
/// `fill` must set callbacks that may be called for the probe until it is unregistered.
#[allow(unreachable_pub, reason = "sealed")]
pub unsafe trait Plan<K> {
    /// Fills in `probe`, which is all zeroes, for registration.
    fn fill(&self, probe: &mut K, round: Round);

    /// Decides, after a registration, whether the probe can be enabled ([`Round::First`]), has to
    /// be registered again ([`Round::Again`]), or is refused.
    ///
    /// # Safety
    ///
    /// `probe` must be registered and disabled.
    #[inline(always)]
    unsafe fn check(&self, _probe: *mut K) -> Result<Round> {
        Ok(Round::First)
    }

    /// Whether the probe stays disabled when it is registered.
    fn disabled(&self) -> bool;
}

/// Registers a probe, disabled.
///
/// # Safety
///
/// `probe` must be valid for writes, pinned, and not registered.
#[inline(always)]
unsafe fn register_disabled<R: Kprobes>(probe: *mut R, plan: &R::Plan<'_>, round: Round) -> Result {
    // The call is smaller than the stores to which the compiler expands `memset()`.
    //
    // SAFETY: By the safety requirements, `probe` is valid for writes.
    unsafe { bindings::__memset(probe.cast(), 0, size_of::<R>()) };
    // SAFETY: All zeroes is a valid value. Nothing else accesses a probe that is not registered.
    plan.fill(unsafe { &mut *probe }, round);
    let kp: *mut bindings::kprobe = probe.cast();
    // SAFETY: `kp` is the first field of `probe`, which is not registered yet.
    unsafe { (*kp).flags = bindings::KPROBE_FLAG_DISABLED };
    // SAFETY: `probe` is filled in, and by the safety requirements pinned and not registered.
    to_result(unsafe { R::REGISTER(probe) })?;
    // The caller may free the name now. Only `dump_kprobe()` would read it, before a panic, and
    // prints "(null)".
    //
    // SAFETY: `kp` is valid, and no other code writes this field.
    unsafe { (*kp).symbol_name = ptr::null() };
    Ok(())
}

/// Registers a disabled probe according to `plan`, and unregisters it.
///
/// Errors: that of the registration, or of [`may_wait`]; `ENOMEM`.
pub(crate) fn check_target<R: Kprobes>(plan: &R::Plan<'_>) -> Result {
    may_wait()?;
    let mut probe = KBox::new_uninit(GFP_KERNEL)?;
    // SAFETY: The probe is valid for writes, not registered, and in a box that does not move.
    unsafe { register_disabled::<R>(probe.as_mut_ptr(), plan, Round::First) }?;
    // SAFETY: `probe` is registered.
    unsafe { <R as Raw>::unregister(&[probe.as_mut_ptr()]) };
    Ok(())
}

fn flags<R: Kprobes>(this: *const R) -> u32 {
    let kp: *const bindings::kprobe = this.cast();
    // SAFETY: Callers pass registered probes. Volatile, as the kernel may write `flags`.
    unsafe { ptr::read_volatile(&raw const (*kp).flags) }
}

// SAFETY: Registered probes are unregistered on every error path.
unsafe impl<R: Kprobes> Raw for R {
    type Plan<'a> = <R as Kprobes>::Plan<'a>;
    type Guard = ();

    #[inline(always)]
    fn lock() -> Result {
        Ok(())
    }

    /// ```text
    /// fill -> register disabled -> check -> enable -> registered
    ///              |                | |        |
    ///              |   unregister <-+ |        |
    ///              |        |         |        |
    ///              |  fill again, register -> enable -> registered
    ///              |        |                  |
    ///              +--------+------------------+------> refused
    /// ```
    #[inline(always)]
    unsafe fn register<'a, K: Kind<Raw = Self>>(
        _guard: (),
        probes: &mut [*mut Self],
        plan: impl Fn(*mut Self) -> <R as Kprobes>::Plan<'a>,
        mut refused: impl FnMut(*mut Self, Error) -> Result,
    ) -> Result<usize> {
        // Registers a probe, disabled, and checks it.
        let register = |probe, round| {
            let plan = plan(probe);
            // SAFETY: By the safety requirements, `probe` is valid, pinned and not registered.
            unsafe { register_disabled(probe, &plan, round)? };
            // SAFETY: `register_disabled` has registered `probe`, disabled.
            let checked = match unsafe { plan.check(probe) } {
                // Another module may have been loaded at this address in between.
                Ok(Round::First) if round == Round::Again => Err(ENOENT),
                checked => checked,
            };
            // SAFETY: As above.
            checked.inspect_err(|_| unsafe { Self::unregister(&[probe]) })
        };

        // The first `registered` probes are registered. The first `ready` of them can be enabled,
        // the others have to be registered again.
        let mut registered = 0;
        let mut ready = 0;
        for i in 0..probes.len() {
            let probe = probes[i];
            match register(probe, Round::First) {
                Ok(round) => {
                    probes.swap(registered, i);
                    if round == Round::First {
                        probes.swap(ready, registered);
                        ready += 1;
                    }
                    registered += 1;
                }
                Err(error) => refused(probe, error).inspect_err(|_| {
                    // SAFETY: These are registered. No callback has run, as none is enabled.
                    unsafe { Self::unregister(&probes[..registered]) }
                })?,
            }
        }

        if ready < registered {
            let again = ready..registered;
            // SAFETY: These are registered. No callback has run, as none is enabled.
            unsafe { Self::unregister(&probes[again.clone()]) };
            for i in again {
                let probe = probes[i];
                match register(probe, Round::Again) {
                    Ok(_) => {
                        probes.swap(ready, i);
                        ready += 1;
                    }
                    Err(error) => refused(probe, error).inspect_err(|_| {
                        // SAFETY: These are registered. No callback has run, as none is enabled.
                        unsafe { Self::unregister(&probes[..ready]) }
                    })?,
                }
            }
        }

        let mut enabled = 0;
        while enabled < ready {
            let probe = probes[enabled];
            if plan(probe).disabled() {
                enabled += 1;
                continue;
            }
            // SAFETY: `probe` is registered, and begins with a kprobe.
            let Err(error) = to_result(unsafe { bindings::kprobes_enable(probe.cast()) }) else {
                enabled += 1;
                continue;
            };
            if let Err(error) = refused(probe, error) {
                // SAFETY: These are registered.
                unsafe { K::unregister(&probes[..ready]) };
                return Err(error);
            }
            // SAFETY: `probe` is still registered.
            unsafe { K::unregister(&[probe]) };
            ready -= 1;
            probes.swap(enabled, ready);
        }
        Ok(ready)
    }

    #[inline(always)]
    unsafe fn unregister(probes: &[*mut Self]) {
        // SAFETY: By the safety requirements, these are registered, and begin with a kprobe.
        unsafe {
            bindings::kprobes_unregister(
                probes.as_ptr().cast_mut().cast(),
                probes.len() as c_uint,
                R::RETURNS,
            )
        };
    }

    unsafe fn arm(probes: &[*mut Self], on: bool) -> Result {
        // SAFETY: By the safety requirements, these are registered, and begin with a kprobe.
        to_result(unsafe {
            bindings::kprobes_enable_all(probes.as_ptr().cast(), probes.len() as c_uint, on)
        })
    }

    unsafe fn address(this: *const Self) -> usize {
        let kp: *const bindings::kprobe = this.cast();
        // SAFETY: By the safety requirements, `this` is registered, so `addr` does not change.
        unsafe { (*kp).addr as usize }
    }

    unsafe fn missed(this: *const Self) -> u64 {
        let kp: *const bindings::kprobe = this.cast();
        // SAFETY: By the safety requirements, `this` is valid. Volatile, as the kernel writes it.
        // An `atomic_long_t` (upstream/linux/0004) holds a `long`.
        let nested = unsafe { ptr::read_volatile((&raw const (*kp).nmissed).cast::<c_ulong>()) };
        // SAFETY: As above.
        nested as u64 + u64::from(unsafe { R::missed_returns(this) })
    }

    unsafe fn mechanism(this: *const Self) -> Mechanism {
        // SAFETY: By the safety requirements, `this` is registered, and begins with a kprobe.
        let flags = unsafe { bindings::kprobes_hashed_flags(this.cast()) };
        if flags & bindings::KPROBE_FLAG_FTRACE != 0 {
            Mechanism::Ftrace
        } else if flags & bindings::KPROBE_FLAG_OPTIMIZED != 0 {
            Mechanism::Jump
        } else {
            Mechanism::Breakpoint
        }
    }

    unsafe fn is_enabled(this: *const Self) -> bool {
        flags(this) & (bindings::KPROBE_FLAG_DISABLED | bindings::KPROBE_FLAG_GONE) == 0
    }

    unsafe fn is_gone(this: *const Self) -> bool {
        flags(this) & bindings::KPROBE_FLAG_GONE != 0
    }
}
