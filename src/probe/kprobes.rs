// SPDX-License-Identifier: GPL-2.0

//! Registration of kprobes and kretprobes.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Context: process context, sleeps; for queries: any.
//!
//! Used as they are, `register_kprobe()` and `unregister_kprobe()` of Linux 7.2 can each end in a
//! use after free:
//!
//! - `register_kprobe()` returns 0 although arming the probe failed. So a probe is registered
//!   disabled, where nothing has to be armed, and then enabled, which reports the error.
//! - When a probe with a post handler joins one without at an ftrace call, the kernel later disarms
//!   both with the wrong `ftrace_ops`: it warns, miscounts, and keeps a freed probe on its list. So
//!   the library never sets `post_handler` there, see `kprobe.rs`.
//! - `unregister_kprobe()` returns nothing although disarming failed and the kernel keeps the
//!   probe. So a probe is disabled first, which reports the error.
//! - `unregister_kprobe()` waits for RCU, which ignores a CPU in the last steps of going offline
//!   and in the first steps of coming online. That CPU may use what the kernel or the caller frees,
//!   so the library takes the hotplug lock, too, before and after.

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

    /// Registers a probe, which must be filled in, pinned, and not registered.
    const REGISTER: unsafe extern "C" fn(*mut Self) -> c_int;

    /// Whether it is a `struct kretprobe`.
    const RETURNS: bool;

    /// Returns how many hits were missed, besides `kprobe::nmissed`.
    ///
    /// # Safety
    ///
    /// `this` must be valid.
    #[inline(always)]
    unsafe fn missed_returns(_this: *const Self) -> u32 {
        0
    }
}

/// A probe is registered once, or twice if [`Plan::settle`] asks for it.
#[allow(unreachable_pub, reason = "sealed")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Round {
    First,
    Again,
}

/// How a probe is registered.
///
/// # Safety
///
/// `fill` must set callbacks that may be called for the probe until it is unregistered.
#[allow(unreachable_pub, reason = "sealed")]
pub unsafe trait Plan<K> {
    /// Fills in `probe`, which is all zeroes, for registration.
    fn fill(&self, probe: &mut K, round: Round);

    /// Decides, after the first registration, whether the probe can be enabled ([`Round::First`]),
    /// has to be registered again ([`Round::Again`]), or is refused.
    ///
    /// # Safety
    ///
    /// `probe` must be registered and disabled.
    #[inline(always)]
    unsafe fn settle(&self, _probe: *mut K) -> Result<Round> {
        Ok(Round::First)
    }

    /// Whether the probe stays disabled when it is registered.
    fn disabled(&self) -> bool;
}

/// Registers a probe, disabled.
///
/// # Safety
///
/// `probe` must be valid for writing, pinned, and not registered.
#[inline(always)]
unsafe fn add<R: Kprobes>(probe: *mut R, plan: &R::Plan<'_>, round: Round) -> Result {
    // This call takes less room than the stores that the compiler makes of `memset()`.
    //
    // SAFETY: By the safety requirements, `probe` is valid for writing.
    unsafe { bindings::__memset(probe.cast(), 0, size_of::<R>()) };
    // SAFETY: All zeroes is a valid value, by the safety requirements of `Kprobes`. Only this
    // function accesses a probe that is not registered.
    plan.fill(unsafe { &mut *probe }, round);
    let kp: *mut bindings::kprobe = probe.cast();
    // SAFETY: `kp` is the first field of `probe`, which is not registered yet.
    unsafe { (*kp).flags = bindings::KPROBE_FLAG_DISABLED };
    // SAFETY: By the safety requirements, `probe` is pinned and not registered; it was filled in
    // above.
    to_result(unsafe { R::REGISTER(probe) })?;
    // The caller owns the name and need not keep it. Only `dump_kprobe()` would read it, before a
    // panic; it prints "(null)".
    //
    // SAFETY: `kp` is valid, and no other code writes this field.
    unsafe { (*kp).symbol_name = ptr::null() };
    Ok(())
}

/// Registers a probe as `plan` says, disabled, and unregisters it.
///
/// Errors: that of registering it, or of [`may_wait`]; `ENOMEM`.
pub(crate) fn try_out<R: Kprobes>(plan: &R::Plan<'_>) -> Result {
    may_wait()?;
    let mut probe = KBox::new_uninit(GFP_KERNEL)?;
    // SAFETY: The probe is valid for writing, not registered, and in a box that stays where it is.
    unsafe { add::<R>(probe.as_mut_ptr(), plan, Round::First) }?;
    // SAFETY: It has just been registered, disabled.
    unsafe { <R as Raw>::unregister(&[probe.as_mut_ptr()]) };
    Ok(())
}

fn flags<R: Kprobes>(this: *const R) -> u32 {
    let kp: *const bindings::kprobe = this.cast();
    // SAFETY: The callers pass registered probes, which begin with a kprobe. The kernel may write
    // `flags` concurrently, hence volatile.
    unsafe { ptr::read_volatile(&raw const (*kp).flags) }
}

// SAFETY: The methods do as they say: registered probes are unregistered on every error path, and
// fields that the kernel may write are read by volatile accesses.
unsafe impl<R: Kprobes> Raw for R {
    type Plan<'a> = <R as Kprobes>::Plan<'a>;
    type Guard = ();

    #[inline(always)]
    fn lock() -> Result {
        Ok(())
    }

    /// ```text
    /// fill -> register disabled -> settle -> enable -> registered
    ///              |                 | |        |
    ///              |    unregister <-+ |        |
    ///              |         |         |        |
    ///              |   fill again, register -> enable -> registered
    ///              |         |                  |
    ///              +---------+------------------+------> refused
    /// ```
    #[inline(always)]
    unsafe fn register<'a, K: Kind<Raw = Self>>(
        _guard: (),
        probes: &mut [*mut Self],
        plan: impl Fn(*mut Self) -> <R as Kprobes>::Plan<'a>,
        mut refused: impl FnMut(*mut Self, Error) -> Result,
    ) -> Result<usize> {
        // Registers a probe, disabled, and returns what `settle` says of it.
        let admit = |probe, round| {
            let plan = plan(probe);
            // SAFETY: By the safety requirements, `probe` is valid, pinned and not registered.
            unsafe { add(probe, &plan, round)? };
            // SAFETY: `add` has registered `probe`, disabled.
            let settled = match unsafe { plan.settle(probe) } {
                // Other code may have come to that place in between.
                Ok(Round::First) if round == Round::Again => Err(ENOENT),
                settled => settled,
            };
            // SAFETY: As above.
            settled.inspect_err(|_| unsafe { Self::unregister(&[probe]) })
        };

        // The first `registered` probes are registered. The first `settled` of them can be enabled,
        // the others have to be registered again.
        let mut registered = 0;
        let mut settled = 0;
        for i in 0..probes.len() {
            let probe = probes[i];
            match admit(probe, Round::First) {
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
                    unsafe { Self::unregister(&probes[..registered]) }
                })?,
            }
        }

        if settled < registered {
            let again = settled..registered;
            // SAFETY: These are registered, and none has been enabled.
            unsafe { Self::unregister(&probes[again.clone()]) };
            for i in again {
                let probe = probes[i];
                match admit(probe, Round::Again) {
                    Ok(_) => {
                        probes.swap(settled, i);
                        settled += 1;
                    }
                    Err(error) => refused(probe, error).inspect_err(|_| {
                        // SAFETY: These are registered, and none has been enabled.
                        unsafe { Self::unregister(&probes[..settled]) }
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
            let Err(error) = to_result(unsafe { bindings::kprobes_enable(probe.cast()) }) else {
                enabled += 1;
                continue;
            };
            if let Err(error) = refused(probe, error) {
                // SAFETY: These are registered.
                unsafe { K::unregister(&probes[..settled]) };
                return Err(error);
            }
            // SAFETY: `probe` is registered, and could not be enabled, or only half.
            unsafe { K::unregister(&[probe]) };
            settled -= 1;
            probes.swap(enabled, settled);
        }
        Ok(settled)
    }

    #[inline(always)]
    unsafe fn unregister(probes: &[*mut Self]) {
        // Blocks forever if the kernel cannot disarm one, because its memory must not be freed.
        //
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
        // SAFETY: By the safety requirements, it is registered, so its `addr` does not change.
        unsafe { (*kp).addr as usize }
    }

    unsafe fn missed(this: *const Self) -> u64 {
        let kp: *const bindings::kprobe = this.cast();
        // SAFETY: By the safety requirements, it is initialised. The kernel may write `nmissed`
        // concurrently, hence volatile. An `atomic_long_t` (upstream/linux/0004) holds a `long`.
        let nested = unsafe { ptr::read_volatile((&raw const (*kp).nmissed).cast::<c_ulong>()) };
        // SAFETY: As above.
        nested as u64 + u64::from(unsafe { R::missed_returns(this) })
    }

    unsafe fn mechanism(this: *const Self) -> Mechanism {
        // SAFETY: By the safety requirements, it is registered, and begins with a kprobe.
        let flags = unsafe { bindings::kprobes_place_flags(this.cast()) };
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
