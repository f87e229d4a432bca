// SPDX-License-Identifier: GPL-2.0

//! The module's one `ftrace_ops`, from this side: which functions are in its filter, and when it is
//! registered.
//!
//! C header: [`include/linux/ftrace.h`](srctree/include/linux/ftrace.h)
//!
//! All of it is done under one lock, which the callback never takes. States of a probe:
//!
//! ```text
//!          attach              disable
//! new --------------> enabled ---------> disabled <--- attach
//!                      |   ^   enable      |   |
//!                      |   +---------------+   |
//!     module unloaded  +--> gone <-------------+
//! ```
//!
//! A function is in the filter as long as one of its probes is enabled. The ops is registered as
//! long as there is such a function.

use super::hit;
use super::record::Record;
use super::table::Table;
use crate::common::*;

/// Proof that the lock is held.
pub struct Locked(());

/// Takes the lock, to attach probes.
///
/// Errors: `EDEADLK` where the chain of module notifiers is called, for the first probe of a
/// module.
#[inline]
pub(super) fn lock() -> Result<Locked> {
    // SAFETY: `gone` may be called from now on.
    to_result(unsafe { bindings::kprobes_entry_watch(Some(gone)) })?;
    Ok(Locked::new())
}

impl Locked {
    #[inline]
    pub(super) fn new() -> Self {
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

    /// Returns whether ftrace calls another tracer at `ip`, or may do so: what cannot be found out
    /// counts as another tracer.
    #[inline]
    pub(super) fn has_other_tracers(&self, ip: usize) -> bool {
        let table = self.table();
        // SAFETY: Under the lock, the table is valid or null, and so is what it leads to.
        let ours = !table.is_null()
            && unsafe {
                let mut record = Table::find(table, ip);
                while record.as_ref().is_some_and(|record| !record.is_enabled()) {
                    record = (*record).next.load(Ordering::Relaxed);
                }
                !record.is_null()
            };
        if ours {
            // SAFETY: The function only reads a field that changes under the lock.
            let callee = unsafe { bindings::kprobes_entry_callee() } as usize;
            regs::ftrace_callee(ip, |at| KernelPtr::new(at).read().ok()) != Some(callee)
        } else {
            KernelPtr::new(ip).read().ok() != Some(regs::FTRACE_NOP)
        }
    }

    /// Returns those of `ips`, in the same order, that are in a module that is being unloaded.
    ///
    /// Errors: `EAGAIN` if they have to be matched again.
    #[inline]
    pub(super) fn unloaded(&self, ips: &[usize]) -> Result<KVVec<usize>> {
        let mut unloaded = KVVec::new();
        for &ip in ips {
            // SAFETY: The lock is held. The function refuses what is not the address of code.
            match unsafe { bindings::kprobes_entry_unloaded(ip as c_ulong) } {
                0 => {}
                1 => unloaded.push(ip, GFP_KERNEL)?,
                errno => return Err(Error::from_errno(errno)),
            }
        }
        Ok(unloaded)
    }

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

    /// Registers `probes`, or none of them, and enables them if `enabled` says so.
    ///
    /// The caller has held the lock since it has found out their addresses, so `gone` is called
    /// later for those that are unloaded. It has marked those as gone for which `gone` was called
    /// before.
    ///
    /// # Safety
    ///
    /// The probes must be new, and stay valid, with what their callbacks use, until they are
    /// detached, or this returns an error.
    #[inline]
    pub(super) unsafe fn attach(mut self, probes: &[*mut Record], enabled: bool) -> Result {
        self.reserve(probes.len())?;
        for &probe in probes {
            // SAFETY: The table has room and is locked; `probe` stays valid. It is not enabled yet.
            unsafe { Table::link(self.table(), probe) };
        }
        *self.counts().0 += probes.len();

        if !enabled {
            return Ok(());
        }
        // SAFETY: These are in the table.
        unsafe { self.enable(probes) }.inspect_err(|_| {
            // SAFETY: These are linked. By the safety requirements, they are still valid.
            unsafe { self.withdraw(probes) };
        })
    }

    /// Enables those of `probes` that are neither enabled nor gone, or none.
    ///
    /// Errors: that of ftrace; `EINVAL` if none is enabled and some of them are gone, also if only
    /// ftrace shows that.
    ///
    /// # Safety
    ///
    /// They must be in the table.
    #[inline]
    unsafe fn enable(&mut self, probes: &[*mut Record]) -> Result {
        // SAFETY: By the safety requirements, they are valid.
        let all = || unsafe { records(probes) };
        let wanted = || all().filter(|probe| !probe.is_enabled() && !probe.is_gone());
        let mut ips = KVVec::with_capacity(wanted().count(), GFP_KERNEL)?;
        let mut tries = bindings::KPROBES_ENTRY_TRIES;
        loop {
            for probe in wanted() {
                ips.push(probe.ip(), GFP_KERNEL)?;
            }
            if ips.is_empty() {
                let refused = all().any(Record::is_gone) && !all().any(Record::is_enabled);
                return if refused { Err(EINVAL) } else { Ok(()) };
            }
            // SAFETY: The function does not keep `ips`, whose length this is. There is a table, so
            // `hit` may be called, and the probes in it are valid.
            let added = to_result(unsafe {
                bindings::kprobes_entry_attach(
                    Some(hit::hit),
                    ips.as_mut_ptr(),
                    ips.len() as c_uint,
                )
            });
            match added {
                Ok(()) => break,
                // ftrace may miss one for a moment while it removes others. Or `gone` was not
                // called for a module that was unloaded, as when its live patch was refused.
                Err(EINVAL) if tries > 0 => {
                    tries -= 1;
                    // SAFETY: The function only asks whether there is one, at any address.
                    wanted()
                        .filter(|probe| unsafe {
                            bindings::kprobes_function_missing(probe.ip() as c_ulong)
                        })
                        .for_each(Record::mark_gone);
                }
                Err(error) => return Err(error),
            }
            ips.clear();
        }
        wanted().for_each(Record::arm);
        *self.counts().1 += ips.len();
        Ok(())
    }

    /// Disarms `probe`. If it was the last enabled one of its function, that is added to `silent`.
    ///
    /// # Safety
    ///
    /// It must be in the table.
    #[inline]
    #[link_section = ".kprobes.text"]
    unsafe fn disarm(&mut self, probe: &Record, silent: &mut Silent) {
        if !probe.disarm() {
            return;
        }
        *self.counts().1 -= 1;
        // SAFETY: By the safety requirements; we hold the lock.
        let others = unsafe { Table::take(self.table(), probe.ip()).probes() };
        if !others.into_iter().any(Record::is_enabled) {
            silent.push(probe.ip());
        }
    }

    /// Takes `probes` out of the table, and waits until no handler runs.
    ///
    /// # Safety
    ///
    /// They must be linked.
    #[inline]
    #[link_section = ".kprobes.text"]
    pub(super) unsafe fn withdraw(mut self, probes: &[*mut Record]) {
        let table = self.table();
        let mut silent = Silent(KVVec::new());
        // SAFETY: By the safety requirements, they are valid.
        for probe in unsafe { records(probes) } {
            // SAFETY: It is linked in the table, and we hold the lock.
            unsafe {
                self.disarm(probe, &mut silent);
                Table::unlink(table, probe);
            }
            *self.counts().0 -= 1;
        }
        let registered = remove_from_filter(&mut silent.0);

        let old = if *self.counts().0 == 0 && !registered {
            // ftrace may still call us on a CPU that goes offline or comes online.
            //
            // SAFETY: The function only waits.
            unsafe { bindings::kprobes_wait() };
            hit::table().swap(ptr::null_mut(), Ordering::Relaxed)
        } else {
            // SAFETY: There is a table, and we hold the lock.
            let before = unsafe { ptr::replace(&raw mut (*table).before, ptr::null_mut()) };
            drop(self);
            // SAFETY: The function only waits.
            unsafe { bindings::kprobes_wait() };
            before
        };
        // SAFETY: No callback runs that had these tables: they were replaced before the grace
        // period, or ftrace does not call us any more.
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

/// Iterates over probes.
///
/// # Safety
///
/// They must be valid.
#[inline]
unsafe fn records(probes: &[*mut Record]) -> impl Iterator<Item = &Record> {
    // SAFETY: By the safety requirements.
    probes.iter().map(|&probe| unsafe { &*probe })
}

/// Functions of which no probe is enabled any more. Under the lock.
struct Silent(KVVec<usize>);

impl Silent {
    /// Adds a function. Without memory, it is removed from the filter at once.
    #[inline]
    fn push(&mut self, ip: usize) {
        if self.0.push(ip, GFP_KERNEL).is_err() {
            remove_from_filter(&mut [ip]);
        }
    }
}

/// Returns whether the ops is still registered.
#[inline]
#[link_section = ".kprobes.text"]
fn remove_from_filter(ips: &mut [usize]) -> bool {
    // SAFETY: The function does not keep `ips`, whose length this is.
    unsafe { bindings::kprobes_entry_detach(ips.as_mut_ptr(), ips.len() as c_uint) }
}

/// Enables those of `probes` that are not gone, or none of them; or disables them.
///
/// Errors: those of [`Locked::enable`]; `ENOMEM`. Disabling does not fail.
///
/// # Safety
///
/// They must be attached, and the caller be allowed to sleep.
#[inline]
pub(super) unsafe fn arm(probes: &[*mut Record], on: bool) -> Result {
    let mut locked = Locked::new();
    if on {
        // SAFETY: By the safety requirements, they are in the table.
        return unsafe { locked.enable(probes) };
    }
    let mut silent = Silent(KVVec::new());
    // SAFETY: By the safety requirements, they are valid, and in the table.
    unsafe { records(probes).for_each(|probe| locked.disarm(probe, &mut silent)) };
    remove_from_filter(&mut silent.0);
    Ok(())
}

/// Marks the probes in `module` as gone: it is being unloaded, or has been initialised and its init
/// code is being freed.
///
/// # Safety
///
/// To be called by the watch only, with a module.
#[inline]
unsafe extern "C" fn gone(module: *const bindings::module, init: bool) {
    let mut locked = Locked::new();
    let mut silent = Silent(KVVec::new());
    // SAFETY: Under the lock, the table is valid or null.
    for place in unsafe { Table::taken(locked.table()) } {
        // SAFETY: By the safety requirements, it is a module.
        if unsafe { bindings::kprobes_entry_within(place.ip(), module, init) } {
            // SAFETY: We hold the lock, and they are in the table.
            for probe in unsafe { place.probes() } {
                // SAFETY: As above.
                unsafe { locked.disarm(probe, &mut silent) };
                probe.mark_gone();
            }
        }
    }
    remove_from_filter(&mut silent.0);
}
