// SPDX-License-Identifier: GPL-2.0

//! The module's one `ftrace_ops`, from this side: which functions are in its
//! filter, and when it is registered.
//!
//! C header: [`include/linux/ftrace.h`](srctree/include/linux/ftrace.h)
//!
//! All of it is done under one lock, which the callback never takes. States of a
//! probe:
//!
//! ```text
//!          attach              disable
//! new --------------> enabled ---------> disabled <--- attach: Target::disabled()
//!                      |   ^   enable      |   |
//!                      |   +---------------+   |
//!     module unloaded  +--> gone <-------------+
//! ```
//!
//! A function is in the filter as long as one of its probes is enabled. The ops is
//! registered as long as there is such a function.

use super::{
    hit,
    probe::Probe,
    table::Table, //
};
use crate::{
    bindings,
    kernel_ext::nofault::KernelPtr,
    regs, //
};
use core::{
    ptr,
    slice,
    sync::atomic::Ordering, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// Proof that the lock is held.
pub(super) struct Locked(());

/// Takes the lock, to attach probes.
///
/// # Errors
///
/// `EDEADLK` where the chain of module notifiers is called, for the first probe of a
/// module.
#[inline]
pub(super) fn lock() -> Result<Locked> {
    // SAFETY: `gone` may be called from now on.
    to_result(unsafe { bindings::kprobes_entry_watch(Some(gone)) })?;
    Ok(Locked::new())
}

impl Locked {
    #[inline]
    fn new() -> Self {
        // SAFETY: The function only takes a mutex, which `drop` releases.
        unsafe { bindings::kprobes_entry_lock() };
        Self(())
    }

    /// Under the lock, the counters are ours.
    #[inline]
    fn counts(&mut self) -> (&mut c_ulong, &mut c_ulong) {
        let all = &raw mut bindings::kprobes_entries;
        // SAFETY: The lock protects both, and both borrow it.
        unsafe { (&mut (*all).linked, &mut (*all).enabled) }
    }

    #[inline]
    fn table(&self) -> *mut Table {
        hit::table().load(Ordering::Relaxed)
    }

    /// Returns whether ftrace calls another tracer at `ip`, or may do so: what cannot be
    /// found out counts as another tracer.
    #[inline]
    pub(super) fn has_other_tracers(&self, ip: usize) -> bool {
        let table = self.table();
        // SAFETY: Under the lock, the table is valid or null.
        let ours = unsafe {
            Table::taken(table)
                .filter(|place| place.ip() == ip)
                .any(|place| place.probes().any(Probe::is_enabled))
        };
        if ours {
            // SAFETY: The function only reads a field that changes under the lock.
            let callee = unsafe { bindings::kprobes_entry_callee() } as usize;
            regs::ftrace_callee(ip, |at| KernelPtr::new(at).read().ok()) != Some(callee)
        } else {
            KernelPtr::new(ip).read().ok() != Some(regs::FTRACE_NOP)
        }
    }

    /// Returns those of `ips`, in the same order, that are in a module that is being unloaded,
    /// or `None` if they have to be matched again.
    #[inline]
    pub(super) fn unloaded(&self, ips: &[usize]) -> Result<Option<KVVec<usize>>> {
        let mut unloaded = KVVec::new();
        for &ip in ips {
            // SAFETY: The lock is held. The function refuses what is not the address of code.
            match unsafe { bindings::kprobes_entry_unloaded(ip as c_ulong) } {
                0 => {}
                1 => unloaded.push(ip, GFP_KERNEL)?,
                errno => {
                    let error = Error::from_errno(errno);
                    return if error == EAGAIN {
                        Ok(None)
                    } else {
                        Err(error)
                    };
                }
            }
        }
        Ok(Some(unloaded))
    }

    /// Makes room for `more` functions.
    #[inline]
    fn reserve(&mut self, more: usize) -> Result {
        let table = self.table();
        // SAFETY: Under the lock, the table is valid or null.
        unsafe {
            if !Table::has_room(table, more) {
                let new = Table::new(*self.counts().0 + more)?;
                Table::replace(new, table);
                hit::table().store(new, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Registers `probes`, or none of them, and enables those that `enabled` tells.
    ///
    /// The caller has held the lock since it has found out their addresses, so `gone` is
    /// called later for those that are unloaded. It has marked those as gone for which `gone`
    /// was called before.
    ///
    /// # Safety
    ///
    /// The probes must be new, and stay valid, with what their callbacks use, until
    /// they are detached, or this returns an error.
    #[inline]
    pub(super) unsafe fn attach(
        mut self,
        probes: &mut [*const Probe],
        enabled: impl Fn(&Probe) -> bool,
    ) -> Result {
        self.reserve(probes.len())?;
        for &probe in probes.iter() {
            // SAFETY: The table has room and is locked; `probe` stays valid. It is not enabled yet.
            unsafe { Table::link(self.table(), probe) };
        }
        *self.counts().0 += probes.len();

        // SAFETY: These are in the table.
        if let Err(error) = unsafe { self.enable(probes, enabled) } {
            // SAFETY: These are linked. By the safety requirements, they are still valid.
            unsafe { self.withdraw(probes) };
            return Err(error);
        }
        Ok(())
    }

    /// Enables those of `probes` that `which` tells and that are neither enabled nor gone,
    /// or none.
    ///
    /// # Errors
    ///
    /// That of ftrace; `EINVAL` if none is enabled and some of them are gone, also if only
    /// ftrace shows that.
    ///
    /// # Safety
    ///
    /// They must be in the table.
    #[inline]
    unsafe fn enable(&mut self, probes: &[*const Probe], which: impl Fn(&Probe) -> bool) -> Result {
        let wanted = || {
            probes
                .iter()
                // SAFETY: By the safety requirements, it is valid.
                .map(|&probe| unsafe { &*probe })
                .filter(|probe| !probe.is_enabled() && !probe.is_gone() && which(probe))
        };
        let mut ips = KVVec::with_capacity(wanted().count(), GFP_KERNEL)?;
        // SAFETY: By the safety requirements, they are valid.
        let mut missing = probes.iter().any(|&probe| unsafe { (*probe).is_gone() });
        let mut tries = bindings::KPROBES_ENTRY_TRIES;
        loop {
            for probe in wanted() {
                ips.push(probe.ip(), GFP_KERNEL)?;
            }
            if ips.is_empty() {
                // SAFETY: By the safety requirements, they are valid.
                let none = !probes.iter().any(|&probe| unsafe { (*probe).is_enabled() });
                return if missing && none { Err(EINVAL) } else { Ok(()) };
            }
            // SAFETY: There is a table, and the probes in it are valid.
            match unsafe { add_to_filter(&mut ips) } {
                Ok(()) => break,
                // ftrace may miss one for a moment while it removes others. Or `gone` was not
                // called for a module that was unloaded, as when its live patch was refused.
                Err(EINVAL) if tries > 0 => {
                    tries -= 1;
                    missing |= mark_missing(wanted());
                }
                Err(error) => return Err(error),
            }
            ips.clear();
        }
        for probe in wanted() {
            probe.arm();
        }
        *self.counts().1 += ips.len();
        Ok(())
    }

    /// Takes `probes` out of the table, and waits until nobody uses them.
    ///
    /// # Safety
    ///
    /// They must be linked. `probes` is overwritten.
    #[inline]
    unsafe fn withdraw(mut self, probes: &mut [*const Probe]) {
        let table = self.table();
        let mut silent = 0;
        for i in 0..probes.len() {
            // SAFETY: By the safety requirements, it is valid.
            let probe = unsafe { &*probes[i] };
            let was_enabled = probe.disarm();
            // SAFETY: It is linked in the table, and we hold the lock.
            let place = unsafe { Table::unlink(table, probe) };
            *self.counts().0 -= 1;
            if was_enabled {
                *self.counts().1 -= 1;
                // SAFETY: We hold the lock.
                if unsafe { !place.probes().any(Probe::is_enabled) } {
                    // Of the pointers up to `i`, none is needed any more.
                    probes[silent] = probe.ip() as *const Probe;
                    silent += 1;
                }
            }
        }
        // SAFETY: The first `silent` pointers are addresses, of the same size.
        let ips = unsafe { slice::from_raw_parts_mut(probes.as_mut_ptr().cast(), silent) };
        let registered = remove_from_filter(ips);

        let old = if *self.counts().0 == 0 && !registered {
            hit::table().swap(ptr::null_mut(), Ordering::Relaxed)
        } else {
            // SAFETY: There is a table, and we hold the lock.
            unsafe { Table::take_before(table) }
        };
        drop(self);
        // SAFETY: The function only waits.
        unsafe { bindings::kprobes_wait() };
        // SAFETY: Nobody found these tables any more before we have waited for those who had.
        unsafe { Table::free(old) };
    }
}

impl Drop for Locked {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `new` has taken the lock.
        unsafe { bindings::kprobes_entry_unlock() };
    }
}

/// Adds functions to the filter, under the lock.
///
/// # Safety
///
/// There must be a table, and the callbacks of enabled probes in it be sound to be
/// called.
#[inline]
unsafe fn add_to_filter(ips: &mut [usize]) -> Result {
    // SAFETY: The function does not keep `ips`, whose length this is. By the safety requirements,
    // `hit` may be called.
    to_result(unsafe {
        bindings::kprobes_entry_attach(Some(hit::hit), ips.as_mut_ptr(), ips.len() as c_uint)
    })
}

/// Marks those of `probes` as gone whose functions ftrace no longer knows; returns whether
/// there are any. Under the lock.
#[inline]
fn mark_missing<'a>(probes: impl Iterator<Item = &'a Probe>) -> bool {
    let mut found = false;
    for probe in probes {
        // SAFETY: The function only asks whether there is one, at any address.
        if unsafe { bindings::kprobes_function_missing(probe.ip() as c_ulong) } {
            probe.mark_gone();
            found = true;
        }
    }
    found
}

/// Removes functions from the filter, under the lock; returns whether the ops is
/// still registered.
#[inline]
fn remove_from_filter(ips: &mut [usize]) -> bool {
    // SAFETY: The function does not keep `ips`, whose length this is.
    unsafe { bindings::kprobes_entry_detach(ips.as_mut_ptr(), ips.len() as c_uint) }
}

/// Unregisters `probes` in one grace period of each kind, and waits until no handler
/// runs.
///
/// # Safety
///
/// They must have been attached, and not been detached since. `probes` is
/// overwritten.
#[inline]
pub(super) unsafe fn detach(probes: &mut [*const Probe]) {
    // SAFETY: By the safety requirements, they are linked.
    unsafe { Locked::new().withdraw(probes) };
}

/// Enables those of `probes` that are not gone, or none of them.
///
/// # Errors
///
/// `EINVAL` if all of them are gone, else that of ftrace; `ENOMEM`.
///
/// # Safety
///
/// They must be attached, and the caller be allowed to sleep.
#[inline]
pub(super) unsafe fn enable(probes: &[*const Probe]) -> Result {
    let mut locked = Locked::new();
    // SAFETY: By the safety requirements, they are valid.
    if probes.iter().all(|&probe| unsafe { (*probe).is_gone() }) {
        return Err(EINVAL);
    }
    // SAFETY: By the safety requirements, they are in the table.
    unsafe { locked.enable(probes, |_| true) }
}

/// Disables `probes`.
///
/// # Safety
///
/// They must be attached, and the caller be allowed to sleep.
#[inline]
pub(super) unsafe fn disable(probes: &[*const Probe]) {
    let mut locked = Locked::new();
    let mut ips = KVVec::new();
    for &probe in probes {
        // SAFETY: By the safety requirements, it is valid.
        let probe = unsafe { &*probe };
        if !probe.disarm() {
            continue;
        }
        *locked.counts().1 -= 1;
        // SAFETY: The probe is in the table, and we hold the lock.
        let others = unsafe { Table::take(locked.table(), probe.ip()).probes() };
        // Without memory, one by one.
        if !others.into_iter().any(Probe::is_enabled) && ips.push(probe.ip(), GFP_KERNEL).is_err() {
            remove_from_filter(&mut [probe.ip()]);
        }
    }
    if !ips.is_empty() {
        remove_from_filter(&mut ips);
    }
}

/// Marks the probes in `module` as gone: it is being unloaded, or has been initialised and
/// its init code is being freed.
///
/// # Safety
///
/// To be called by the watch only, with a module.
#[inline]
unsafe extern "C" fn gone(module: *const bindings::module, init: bool) {
    let mut locked = Locked::new();
    let mut ips = KVVec::new();
    // SAFETY: Under the lock, the table is valid or null.
    for place in unsafe { Table::taken(locked.table()) } {
        let ip = place.ip();
        // SAFETY: By the safety requirements, it is a module.
        if !unsafe { bindings::kprobes_entry_within(ip, module, init) } {
            continue;
        }
        let mut was_enabled = false;
        // SAFETY: We hold the lock.
        for probe in unsafe { place.probes() } {
            if probe.disarm() {
                *locked.counts().1 -= 1;
                was_enabled = true;
            }
            probe.mark_gone();
        }
        // Without memory, one by one.
        if was_enabled && ips.push(ip, GFP_KERNEL).is_err() {
            remove_from_filter(&mut [ip]);
        }
    }
    if !ips.is_empty() {
        remove_from_filter(&mut ips);
    }
}
