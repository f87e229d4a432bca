// SPDX-License-Identifier: GPL-2.0

//! Attaches entry probes to the module's `ftrace_ops`, and detaches them.
//!
//! C header: [`include/linux/ftrace.h`](srctree/include/linux/ftrace.h)
//!
//! One lock protects all of this. The ftrace callback never takes it. States of a probe:
//!
//! ```text
//!          attach              disable
//! new --------------> enabled ---------> disabled <--- attach
//!                      |   ^   enable      |   |
//!                      |   +---------------+   |
//!     module unloaded  +--> gone <-------------+
//! ```
//!
//! A function is in the filter of the ops while one of its probes is enabled. The ops is registered
//! while its filter has a function.

use super::hit;
use super::record::Record;
use super::table::Table;
use crate::common::*;

/// Proof that the lock is held.
pub struct Locked(());

/// Takes the lock, to attach probes. The first call registers a module notifier.
///
/// Errors: `EDEADLK` if a module notifier is running in this task.
#[inline]
pub(super) fn lock() -> Result<Locked> {
    // SAFETY: `gone` is a callback for module notifications.
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

    /// Returns the counters of linked and of enabled probes.
    #[inline]
    fn counts(&mut self) -> (&mut c_ulong, &mut c_ulong) {
        let all = &raw mut bindings::kprobes_entries;
        // SAFETY: The lock protects both counters, and `self` proves that it is held.
        unsafe { (&mut (*all).linked, &mut (*all).enabled) }
    }

    #[inline]
    fn table(&self) -> *mut Table {
        hit::table().load(Ordering::Relaxed)
    }

    /// Returns whether ftrace calls another tracer at `ip`. Also returns true if that is unknown.
    #[inline]
    pub(super) fn has_other_tracers(&self, ip: usize) -> bool {
        let table = self.table();
        // SAFETY: Under the lock, the table is valid or null, and so are linked probes.
        let ours = !table.is_null()
            && unsafe {
                let mut record = Table::find(table, ip);
                while record.as_ref().is_some_and(|record| !record.is_enabled()) {
                    record = (*record).next.load(Ordering::Relaxed);
                }
                !record.is_null()
            };
        if ours {
            // SAFETY: The function only reads a field that the lock protects.
            let callee = unsafe { bindings::kprobes_entry_callee() } as usize;
            regs::ftrace_callee(ip, |at| KernelPtr::new(at).read().ok()) != Some(callee)
        } else {
            KernelPtr::new(ip).read().ok() != Some(regs::FTRACE_NOP)
        }
    }

    /// Returns those of `ips` in text that is being unloaded, in the same order.
    ///
    /// Errors: `EAGAIN` if the caller must match the pattern again; `ENOMEM`.
    #[inline]
    pub(super) fn unloaded(&self, ips: &[usize]) -> Result<KVVec<usize>> {
        let mut unloaded = KVVec::new();
        for &ip in ips {
            // SAFETY: The lock is held. The function accepts any address.
            match unsafe { bindings::kprobes_entry_unloaded(ip as c_ulong) } {
                0 => {}
                1 => unloaded.push(ip, GFP_KERNEL)?,
                errno => return Err(Error::from_errno(errno)),
            }
        }
        Ok(unloaded)
    }

    /// Makes room for `more` functions in the table.
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

    /// Registers all of `probes`, or none of them, and enables them if `enabled`.
    ///
    /// The lock is held since the addresses were resolved, so `gone` handles later unloads. The
    /// caller has marked the probes of functions that were unloaded before.
    ///
    /// # Safety
    ///
    /// The probes must be new. Until they are detached, or this returns an error, they and all that
    /// their callbacks use must stay valid.
    #[inline]
    pub(super) unsafe fn attach(mut self, probes: &[*mut Record], enabled: bool) -> Result {
        self.reserve(probes.len())?;
        for &probe in probes {
            // SAFETY: The table has room, the lock is held, and `probe` stays valid.
            unsafe { Table::link(self.table(), probe) };
        }
        *self.counts().0 += probes.len();

        if !enabled {
            return Ok(());
        }
        // SAFETY: `probes` are linked.
        unsafe { self.enable(probes) }.inspect_err(|_| {
            // SAFETY: `probes` are linked and, by the safety requirements, still valid.
            unsafe { self.detach(probes) };
        })
    }

    /// Enables all of `probes` except those that are gone. On an error, enables none.
    ///
    /// Errors: those of ftrace and `ENOMEM`; `EINVAL` if all are gone.
    ///
    /// # Safety
    ///
    /// `probes` must be linked.
    #[inline]
    unsafe fn enable(&mut self, probes: &[*mut Record]) -> Result {
        // SAFETY: By the safety requirements, `probes` are linked, and so valid.
        let all = || unsafe { records(probes) };
        let to_enable = || all().filter(|probe| !probe.is_enabled() && !probe.is_gone());
        let mut ips = KVVec::with_capacity(to_enable().count(), GFP_KERNEL)?;
        let mut tries = bindings::KPROBES_ENTRY_TRIES;
        loop {
            for probe in to_enable() {
                ips.push(probe.ip(), GFP_KERNEL)?;
            }
            if ips.is_empty() {
                let refused = all().any(Record::is_gone) && !all().any(Record::is_enabled);
                return if refused { Err(EINVAL) } else { Ok(()) };
            }
            // SAFETY: `ips` has this length. `hit` may be called, because there is a table, and all
            // probes in it are valid.
            let added = to_result(unsafe {
                bindings::kprobes_entry_attach(
                    Some(hit::hit),
                    ips.as_mut_ptr(),
                    ips.len() as c_uint,
                )
            });
            match added {
                Ok(()) => break,
                // ftrace may miss a function for a moment while it removes others. Or a module was
                // unloaded without a notification, as when its live patch is refused.
                Err(EINVAL) if tries > 0 => {
                    tries -= 1;
                    // SAFETY: The function accepts any address.
                    to_enable()
                        .filter(|probe| unsafe {
                            bindings::kprobes_function_missing(probe.ip() as c_ulong)
                        })
                        .for_each(Record::mark_gone);
                }
                Err(error) => return Err(error),
            }
            ips.clear();
        }
        to_enable().for_each(Record::arm);
        *self.counts().1 += ips.len();
        Ok(())
    }

    /// Disarms `probe`. Adds its function to `unused` if the function has no other enabled probe.
    ///
    /// # Safety
    ///
    /// `probe` must be linked.
    #[inline]
    #[link_section = ".kprobes.text"]
    unsafe fn disarm(&mut self, probe: &Record, unused: &mut Unused) {
        if !probe.disarm() {
            return;
        }
        *self.counts().1 -= 1;
        // SAFETY: By the safety requirements, `probe` is linked. The lock is held.
        let others = unsafe { Table::claim(self.table(), probe.ip()).probes() };
        if !others.into_iter().any(Record::is_enabled) {
            unused.push(probe.ip());
        }
    }

    /// Disarms and unlinks `probes`, and waits for their running handlers.
    ///
    /// # Safety
    ///
    /// `probes` must be linked.
    #[inline]
    #[link_section = ".kprobes.text"]
    pub(super) unsafe fn detach(mut self, probes: &[*mut Record]) {
        let table = self.table();
        let mut unused = Unused(KVVec::new());
        // SAFETY: By the safety requirements, `probes` are linked, and so valid.
        for probe in unsafe { records(probes) } {
            // SAFETY: `probe` is linked in the table, and the lock is held.
            unsafe {
                self.disarm(probe, &mut unused);
                Table::unlink(table, probe);
            }
            *self.counts().0 -= 1;
        }
        let registered = remove_from_filter(&mut unused.0);

        let old = if *self.counts().0 == 0 && !registered {
            // unregister_ftrace_function() does not wait for CPUs that go offline or come online.
            //
            // SAFETY: The function only waits.
            unsafe { bindings::kprobes_wait() };
            hit::table().swap(ptr::null_mut(), Ordering::Relaxed)
        } else {
            // SAFETY: There is a table, and the lock is held.
            let replaced = unsafe { ptr::replace(&raw mut (*table).replaced, ptr::null_mut()) };
            drop(self);
            // SAFETY: The function only waits.
            unsafe { bindings::kprobes_wait() };
            replaced
        };
        // SAFETY: No callback uses these tables: either they were replaced before the grace period,
        // or the ops is unregistered.
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
/// `probes` must be valid.
#[inline]
unsafe fn records(probes: &[*mut Record]) -> impl Iterator<Item = &Record> {
    // SAFETY: By the safety requirements, `probe` is valid.
    probes.iter().map(|&probe| unsafe { &*probe })
}

/// Functions without an enabled probe, to be removed from the filter. Used with the lock held.
struct Unused(KVVec<usize>);

impl Unused {
    /// Adds a function. If memory is short, removes the function from the filter at once.
    #[inline]
    fn push(&mut self, ip: usize) {
        if self.0.push(ip, GFP_KERNEL).is_err() {
            remove_from_filter(&mut [ip]);
        }
    }
}

/// Removes functions from the filter. Returns whether the ops is still registered.
#[inline]
#[link_section = ".kprobes.text"]
fn remove_from_filter(ips: &mut [usize]) -> bool {
    // SAFETY: `ips` has this length.
    unsafe { bindings::kprobes_entry_detach(ips.as_mut_ptr(), ips.len() as c_uint) }
}

/// Enables or disables `probes`, as [`Locked::enable`]. Disabling does not fail.
///
/// # Safety
///
/// `probes` must be attached, and the caller must be allowed to sleep.
#[inline]
pub(super) unsafe fn arm(probes: &[*mut Record], on: bool) -> Result {
    let mut locked = Locked::new();
    if on {
        // SAFETY: By the safety requirements, `probes` are attached.
        return unsafe { locked.enable(probes) };
    }
    let mut unused = Unused(KVVec::new());
    // SAFETY: By the safety requirements, `probes` are attached, and so valid and linked.
    unsafe { records(probes).for_each(|probe| locked.disarm(probe, &mut unused)) };
    remove_from_filter(&mut unused.0);
    Ok(())
}

/// Marks the probes in a module that is being unloaded as gone; with `init`, only those in its init
/// text, which is being freed.
///
/// # Safety
///
/// `module` must be valid.
#[inline]
unsafe extern "C" fn gone(module: *const bindings::module, init: bool) {
    let mut locked = Locked::new();
    let mut unused = Unused(KVVec::new());
    // SAFETY: Under the lock, the table is valid or null.
    for slot in unsafe { Table::used_slots(locked.table()) } {
        // SAFETY: By the safety requirements, `module` is valid.
        if unsafe { bindings::kprobes_entry_within(slot.ip(), module, init) } {
            // SAFETY: The lock is held while the probes are used.
            for probe in unsafe { slot.probes() } {
                // SAFETY: `probe` is linked.
                unsafe { locked.disarm(probe, &mut unused) };
                probe.mark_gone();
            }
        }
    }
    remove_from_filter(&mut unused.0);
}
