// SPDX-License-Identifier: GPL-2.0

//! How a probe is registered and unregistered, of whatever kind.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Linux 7.2 takes three things less well than it seems, and each of them can
//! end in memory that is used after it was freed:
//!
//! - `register_kprobe()` returns 0 although arming the probe failed. So a probe is registered
//!   disabled, which cannot fail that way, and then enabled, which tells.
//! - A post handler that joins a probe without one, at a function's entry that ftrace has, makes the
//!   kernel disarm both with the wrong `ftrace_ops`: it warns, miscounts, and keeps the probe on its
//!   list. So there the kernel is never told of a post handler, see [`Calls`].
//! - `unregister_kprobe()` returns nothing although it failed to disarm the probe, and keeps it. So a
//!   probe is disabled first, which tells.

use crate::{
    bindings,
    regs, //
};
use core::ptr;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// A `struct kprobe` or `struct kretprobe`, of which all zeroes is a value.
pub(crate) trait Raw: Sized {
    /// The kprobe in it.
    ///
    /// # Safety
    ///
    /// `this` must be valid.
    unsafe fn kprobe(this: *mut Self) -> *mut bindings::kprobe;

    /// # Safety
    ///
    /// `this` must be filled in and pinned, and not be registered.
    unsafe fn register(this: *mut Self) -> c_int;

    /// Whether a probe of this kind may go where the kernel let it go.
    ///
    /// # Safety
    ///
    /// `this` must be registered, and disabled.
    unsafe fn admit(this: *mut Self) -> Result;

    /// Unregisters what a [`Held`] holds.
    const LEAVE: Leave;

    /// Waits for one grace period.
    ///
    /// # Safety
    ///
    /// `this` must be registered, and disabled.
    unsafe fn unregister(this: *mut Self);

    /// Waits for one grace period, however many there are.
    ///
    /// # Safety
    ///
    /// All of `these` must be registered, and disabled.
    unsafe fn unregister_all(these: &mut [*mut Self]);
}

impl Raw for bindings::kprobe {
    #[inline(always)]
    unsafe fn kprobe(this: *mut Self) -> *mut bindings::kprobe {
        this
    }

    #[inline(always)]
    unsafe fn register(this: *mut Self) -> c_int {
        // SAFETY: By this function's contract.
        unsafe { bindings::register_kprobe(this) }
    }

    #[inline(always)]
    unsafe fn admit(_this: *mut Self) -> Result {
        Ok(())
    }

    const LEAVE: Leave = bindings::kprobes_leave_kprobes;

    #[inline(always)]
    unsafe fn unregister(this: *mut Self) {
        // SAFETY: By this function's contract.
        unsafe { bindings::unregister_kprobe(this) };
    }

    #[inline(always)]
    unsafe fn unregister_all(these: &mut [*mut Self]) {
        // SAFETY: By this function's contract; the length is that of the array.
        unsafe { bindings::unregister_kprobes(these.as_mut_ptr(), these.len() as c_int) };
    }
}

impl Raw for bindings::kretprobe {
    #[inline(always)]
    unsafe fn kprobe(this: *mut Self) -> *mut bindings::kprobe {
        // SAFETY: This only computes the address of a field of a valid struct.
        unsafe { &raw mut (*this).kp }
    }

    #[inline(always)]
    unsafe fn register(this: *mut Self) -> c_int {
        // SAFETY: By this function's contract.
        unsafe { bindings::register_kretprobe(this) }
    }

    #[inline]
    unsafe fn admit(this: *mut Self) -> Result {
        // SAFETY: `this` is registered, so it has an address, which nobody writes.
        to_result(unsafe { bindings::kprobes_function_entry((*this).kp.addr.cast()) })
    }

    const LEAVE: Leave = bindings::kprobes_leave_kretprobes;

    #[inline(always)]
    unsafe fn unregister(this: *mut Self) {
        // SAFETY: By this function's contract.
        unsafe { bindings::unregister_kretprobe(this) };
    }

    #[inline(always)]
    unsafe fn unregister_all(these: &mut [*mut Self]) {
        // SAFETY: By this function's contract; the length is that of the array.
        unsafe { bindings::unregister_kretprobes(these.as_mut_ptr(), these.len() as c_int) };
    }
}

/// Whether one may wait here: what registers, enables or disables takes a mutex.
///
/// # Errors
///
/// `EDEADLK` in a handler, under a spinlock, with interrupts or preemption off,
/// or in an RCU section.
#[inline]
pub(crate) fn may_wait() -> Result {
    // SAFETY: The function only looks at the current task and CPU.
    if unsafe { bindings::kprobes_must_not_wait() } {
        // The kernel crate of Linux 7.2 has no name for it.
        return Err(Error::from_errno(-(bindings::EDEADLK as c_int)));
    }
    Ok(())
}

/// Registers a probe that is not enabled yet: no handler runs, and there is
/// nothing that could fail to be armed.
///
/// # Errors
///
/// The kernel's own, and that of [`may_wait`].
///
/// # Safety
///
/// `this` must be filled in and pinned, and not be registered.
#[inline]
pub(crate) unsafe fn register<K: Raw>(this: *mut K) -> Result {
    may_wait()?;
    // SAFETY: By this function's contract.
    unsafe {
        let kp = K::kprobe(this);
        (*kp).flags = bindings::KPROBE_FLAG_DISABLED;
        to_result(K::register(this))?;
        // The caller's, who may take it back. Only `dump_kprobe()` would read it, before a panic, and
        // prints "(null)" then.
        (*kp).symbol_name = ptr::null();
    }
    Ok(())
}

/// Unregisters a probe that is not enabled, be it that it never was or that
/// [`enable`] failed.
///
/// # Safety
///
/// `this` must have been registered by [`register`], and be disabled.
#[inline]
pub(crate) unsafe fn withdraw<K: Raw>(this: *mut K) {
    // SAFETY: By this function's contract; being disabled, it is taken off the kernel's lists
    // without anything that could fail.
    unsafe { K::unregister(this) };
}

/// Unregisters probes, in one grace period for all. When it returns, no handler
/// of theirs runs, and the kernel has forgotten them.
///
/// Where it cannot be made to forget one, this does not return: the memory that
/// the kernel goes on using must not be freed.
///
/// # Safety
///
/// Each of `these` must have been registered by [`register`].
#[inline]
pub(crate) unsafe fn unregister_all<K: Raw>(these: &mut [*mut K]) {
    for &mut this in these.iter_mut() {
        // SAFETY: By this function's contract `this` is registered.
        unsafe { bindings::kprobes_disarm(K::kprobe(this)) };
    }
    // SAFETY: By this function's contract, and the loop disabled each of them.
    unsafe { K::unregister_all(these) };
}

/// How what is registered is unregistered: `kprobes_leave_*()` in C.
pub(crate) type Leave = unsafe extern "C" fn(*mut bindings::kprobes_registration, bool);

/// That probes are registered, on the module's list of such.
///
/// What is on that list when the module has left, or its init has failed, is
/// unregistered then. So probes that are never dropped, because they lie in a
/// static or were forgotten, call no code that is gone.
///
/// # Invariants
///
/// From its initialisation to [`Held::leave`] it is on the list.
#[pin_data]
pub(crate) struct Held {
    #[pin]
    held: Opaque<bindings::kprobes_held>,
}

impl Held {
    /// Puts on the list what `leave` unregisters: the probe at `probes`, where
    /// `count` is 0, else those at the `count` pointers there.
    ///
    /// # Safety
    ///
    /// What `probes` points at must be registered, be what `leave` is for, and
    /// stay where it is until [`Held::leave`] or the end of the module.
    #[inline]
    pub(crate) unsafe fn enter(
        leave: Leave,
        probes: *mut c_void,
        count: usize,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            held <- Opaque::ffi_init(move |held: *mut bindings::kprobes_held| {
                // SAFETY: `held` is valid for writing and pinned. INVARIANT: It is on the list.
                unsafe {
                    (&raw mut (*held).reg.leave).write(Some(leave));
                    (&raw mut (*held).reg.first).write(false);
                    (&raw mut (*held).probes).write(probes);
                    (&raw mut (*held).count).write(count as c_uint);
                    bindings::kprobes_enter(&raw mut (*held).reg);
                }
            }),
        })
    }

    /// Unregisters, as [`unregister_all`]. Stops the machine or the task where
    /// one must not sleep: in a handler, or under a lock.
    ///
    /// # Safety
    ///
    /// To be called once.
    #[inline]
    pub(crate) unsafe fn leave(&self) {
        // SAFETY: By the type invariant it is on the list, and what it holds is registered.
        unsafe { bindings::kprobes_leave(&raw mut (*self.held.get()).reg) };
    }
}

/// What the kernel calls before an instruction.
pub(crate) type PreCall =
    unsafe extern "C" fn(*mut bindings::kprobe, *mut bindings::pt_regs) -> c_int;
/// What the kernel calls after an instruction.
pub(crate) type PostCall =
    unsafe extern "C" fn(*mut bindings::kprobe, *mut bindings::pt_regs, c_ulong);

/// What a kprobe's handler consists of.
///
/// At a function's entry that ftrace has, the instruction is a call of ftrace's
/// that does nothing, so the post handler can be called right after the pre
/// handler, by `both`. The kernel then does not know that there is one, and
/// does not claim the function's flow for it (`FTRACE_OPS_FL_IPMODIFY`).
#[derive(Clone, Copy)]
pub(crate) struct Calls {
    pub(crate) pre: Option<PreCall>,
    pub(crate) post: Option<PostCall>,
    pub(crate) both: PreCall,
}

impl Calls {
    /// Prepares `kp` for a first registration, without the post handler.
    #[inline(always)]
    pub(crate) fn first(&self, kp: &mut bindings::kprobe) {
        kp.pre_handler = self.pre;
    }

    /// What remains to be done with a registered probe: `false` where it is as
    /// it has to be, `true` where it has to be registered again, prepared by
    /// [`Calls::again`].
    ///
    /// # Safety
    ///
    /// `kp` must be registered and disabled.
    #[inline(always)]
    pub(crate) unsafe fn settle(&self, kp: *mut bindings::kprobe) -> bool {
        if self.post.is_none() {
            return false;
        }
        // SAFETY: `kp` is valid, by this function's contract. Nobody writes this flag of a registered
        // probe, but the kernel may write the one that tells that its code is gone, hence volatile.
        let flags = unsafe { ptr::read_volatile(&raw const (*kp).flags) };
        if flags & bindings::KPROBE_FLAG_FTRACE == 0 {
            return true;
        }
        // SAFETY: As above. Who looks at the probe meanwhile, because there are others at this place,
        // finds it disabled, whichever of the two handlers it has.
        unsafe { ptr::write_volatile(&raw mut (*kp).pre_handler, Some(self.both)) };
        false
    }

    /// Prepares `kp` for a place that is not ftrace's, with the post handler.
    #[inline(always)]
    pub(crate) fn again(&self, kp: &mut bindings::kprobe) {
        kp.pre_handler = self.pre;
        kp.post_handler = self.post;
    }
}

/// Lets the handlers of a registered probe run: from now on, or from the moment
/// on in which kprobes are switched on globally.
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
    // SAFETY: By this function's contract.
    to_result(unsafe { bindings::kprobes_enable(kp) })
}

/// Runs `post` right after the pre handler, as `kprobe_ftrace_handler()` in
/// `arch/x86/kernel/kprobes/ftrace.c` does: with the instruction pointer behind
/// ftrace's call.
///
/// # Safety
///
/// `regs` must be what the kernel passes to the pre handler of a probe at a
/// call of ftrace's, and `kp` that probe.
#[inline(always)]
pub(crate) unsafe fn post_at_entry(
    kp: *mut bindings::kprobe,
    regs: *mut bindings::pt_regs,
    post: impl FnOnce(),
) {
    // SAFETY: `regs` and `kp` are valid by this function's contract, and no reference into `regs`
    // is held while `post` does not run. Others at this place see the pointer as it was.
    unsafe {
        let ip = regs::instruction_pointer(&*regs);
        regs::set_instruction_pointer(regs, (*kp).addr as usize + regs::FTRACE_CALL);
        post();
        regs::set_instruction_pointer(regs, ip);
    }
}
