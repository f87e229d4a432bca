// SPDX-License-Identifier: GPL-2.0

//! Entry probes: handlers at the entry of functions, called by ftrace.
//!
//! C header: [`include/linux/ftrace.h`](srctree/include/linux/ftrace.h)
//!
//! An [`Entry`] costs a third of a [`Kprobe`](crate::Kprobe) at the same place, and an
//! [`EntrySet`] may have all functions of the kernel. In return, there is no other
//! place than the entry, and a [`Context`] there has the arguments, but no other
//! registers.
//!
//! Context: probed context, preemption disabled. Handlers must not sleep. They may
//! run on several CPUs at once, and may interrupt any code, as an NMI does,
//! including the holder of a lock. So a handler must not wait for a lock; it uses
//! `try_lock`, atomics or per-CPU counters.
//!
//! Several probes may be at a function. Each has its hits; in which order is not
//! defined.
//!
//! # Hits in handlers
//!
//! In a handler, no entry probe has hits, of this or another module: they are
//! [missed](Probe::missed). But the handler is called for a hit in an interrupt that
//! comes in a handler. Handlers of kprobes and tracepoints make no difference.
//!
//! # Together with others
//!
//! - The module has one `ftrace_ops` for all of them. Where another tracer is at the same function,
//!   also a kprobe of another module's or of this one, the kernel calls both through a list of all
//!   tracers in the system. That works, and costs more.
//! - `kernel.ftrace_enabled=0` is refused (`EBUSY`) while there are entry probes, and they are while
//!   it is 0. Linux 7.3 does not have it any more.
//! - If ftrace has disabled itself after an error, no more hits are promised. Probes can still be
//!   dropped: their handlers are not called any more, which does not depend on ftrace. Only the
//!   module's code has to stay, so its removal blocks forever, and says so.

use crate::{
    bindings,
    context::{
        AtEntry,
        Context, //
    },
    held::Held,
    members::{
        Refusal,
        Wanted, //
    },
    registration::may_register,
    target::Target, //
};
use core::{
    ops::Deref,
    ptr,
    slice, //
};
use kernel::{
    container_of,
    error::to_result,
    prelude::*, //
};

mod hit;
mod ops;
mod pattern;
mod probe;
mod table;

pub use probe::Probe;

/// Callbacks of an [`Entry`] or an [`EntrySet`].
pub trait Handler: Send + Sync + 'static {
    /// Called before the function runs.
    ///
    /// Context: probed context, preemption disabled.
    fn entry(&self, cx: &Context<'_, AtEntry>);

    /// Called once, after the probe is unregistered and all handlers have
    /// finished, with the final [`missed`](Probe::missed), of a set the sum. Use it
    /// to report totals.
    ///
    /// Context: process context, in the drop; it may sleep.
    fn unregistered(&self, missed: u64) {
        let _ = missed;
    }
}

/// A registered entry probe and its handler.
///
/// Initialising it registers the probe. Dropping it unregisters the probe and
/// waits for running handlers, so it must not be dropped in a handler. Both
/// sleep.
///
/// It dereferences to [`Probe`].
///
/// C functions: `ftrace_set_filter_ips()`, `register_ftrace_function()`,
/// `unregister_ftrace_function()`.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// use kprobes::{entry, AtEntry, Context, Entry, PerCpuCounts, Target};
///
/// struct Reads(PerCpuCounts<1>);
///
/// impl entry::Handler for Reads {
///     fn entry(&self, _cx: &Context<'_, AtEntry>) {
///         self.0.inc(0);
///     }
/// }
///
/// # fn f() -> Result {
/// let reads = Reads(PerCpuCounts::new()?);
/// let probe = KBox::pin_init(Entry::new(Target::symbol(c"vfs_read"), reads), GFP_KERNEL)?;
/// # Ok(()) }
/// ```
///
/// # Invariants
///
/// `probe` is attached, with `handler`, and `held` is on the module's list, until the
/// value is dropped.
#[pin_data(PinnedDrop)]
#[must_use = "dropping the probe unregisters it"]
pub struct Entry<H: Handler> {
    #[pin]
    handler: H,
    #[pin]
    probe: Probe,
    #[pin]
    held: Held,
}

// SAFETY: A probe may be unregistered by any task, and `H` is `Send`.
unsafe impl<H: Handler> Send for Entry<H> {}
// SAFETY: `&Entry` gives access to `&H` and `&Probe`, which are `Sync`.
unsafe impl<H: Handler> Sync for Entry<H> {}

impl<H: Handler> Entry<H> {
    /// Registers `handler` at the entry of the function `target`.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// - `ENOENT`: no such symbol, or its module is being unloaded;
    /// - `EINVAL`: the target has an offset, or is not the entry of a function that ftrace can
    ///   trace, or kprobes refuse it (NOKPROBE);
    /// - `EBUSY`: `kernel.ftrace_enabled` is 0;
    /// - `ENODEV`: the kernel has disabled ftrace after an error;
    /// - `EOPNOTSUPP`: the kernel lacks `CONFIG_DYNAMIC_FTRACE_WITH_ARGS`;
    /// - `ENOMEM`;
    /// - `EINVAL`: the probe would lie on the stack, see [the crate](crate#where-not-to-create-a-probe);
    /// - `EDEADLK`: the caller must not sleep: it is a handler, holds a spinlock, has interrupts or
    ///   preemption disabled, or is in an RCU section. Also for the first entry probe of a module,
    ///   if that is made in the handler of a [`ModuleWatch`](crate::ModuleWatch), or in a KUnit
    ///   suite while the module loads: then its init has to make one.
    pub fn new<'a, E: 'a>(
        target: Target<'a>,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        try_pin_init!(&this in Self {
            // First, because the kernel may call it before the registration returns.
            handler <- handler,
            // SAFETY: `attach` initialises `probe` if it returns `Ok`. The handler is initialised.
            // INVARIANT: It is attached.
            probe <- unsafe {
                pin_init::pin_init_from_closure(move |probe: *mut Probe| {
                    Self::attach(probe, &raw const (*this.as_ptr()).handler, target)
                })
            },
            // SAFETY: `probe` is attached and pinned, and `leave` detaches it.
            // INVARIANT: This puts it on the list.
            held <- unsafe {
                Held::enter(leave, (&raw mut (*this.as_ptr()).probe).cast(), 0)
            },
        })
    }

    /// # Safety
    ///
    /// `probe` must be valid for writing and pinned, beside a `handler` that is
    /// initialised and not dropped before it, and if this returns an error, not
    /// before that.
    #[inline(always)]
    unsafe fn attach(probe: *mut Probe, handler: *const H, target: Target<'_>) -> Result {
        may_register(probe)?;
        let locked = ops::lock()?;
        let mut seekers = Seekers::new(1)?;
        let ip = seekers.seek(target)?;
        drop(seekers);
        // SAFETY: `calls` are for handlers of this type. By the safety requirements, `probe` may be
        // written to.
        unsafe { probe.write(Probe::new(calls::<H>(), handler.cast(), 0, ip)) };
        // SAFETY: The probe is new. By the safety requirements, it stays valid.
        unsafe { locked.attach(&mut [probe.cast_const()]) }
    }

    /// Returns the handler.
    #[inline]
    pub fn handler(&self) -> &H {
        &self.handler
    }
}

impl<H: Handler> Deref for Entry<H> {
    type Target = Probe;

    #[inline]
    fn deref(&self) -> &Probe {
        &self.probe
    }
}

#[pinned_drop]
impl<H: Handler> PinnedDrop for Entry<H> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant, `held` is on the list, and this is the only call of
        // `leave`.
        unsafe { self.held.leave() };
        self.handler.unregistered(self.probe.missed());
    }
}

/// Entry probes at several functions that share a handler. [`Context::index`] tells
/// which of them was hit.
///
/// Registering and dropping a set costs about as much as one probe. Dropping it
/// waits for running handlers, so it must not be dropped in a handler.
///
/// # Examples
///
/// Count all calls of `vfs_*()`:
///
/// ```
/// use kernel::prelude::*;
/// use kprobes::{entry, AtEntry, Context, EntrySet, PerCpuCounts};
///
/// struct Calls(PerCpuCounts<1>);
///
/// impl entry::Handler for Calls {
///     fn entry(&self, _cx: &Context<'_, AtEntry>) {
///         self.0.inc(0);
///     }
/// }
///
/// # fn f() -> Result {
/// let calls = Calls(PerCpuCounts::new()?);
/// let set = KBox::pin_init(EntrySet::matching(c"vfs_*", calls), GFP_KERNEL)?;
/// for (index, probe) in set.iter() {
///     pr_info!("{index}: {}\n", probe.location());
/// }
/// # Ok(()) }
/// ```
///
/// # Invariants
///
/// Until the set is dropped, `all` is attached, with `handler`, and `held` is on the
/// module's list.
#[pin_data(PinnedDrop)]
#[must_use = "dropping the set unregisters it"]
pub struct EntrySet<H: Handler> {
    #[pin]
    handler: H,
    all: All,
    #[pin]
    held: Held,
}

/// The probes of a set.
///
/// # Invariants
///
/// `probes` is not resized once `pointers` points at each of them, and in ascending
/// order of their indices.
struct All {
    probes: KVVec<Probe>,
    refused: KVVec<Refusal>,
    /// For [`ops::detach`].
    pointers: KVVec<*const Probe>,
}

impl All {
    #[inline]
    fn with_capacity(probes: usize) -> Result<Self> {
        Ok(Self {
            probes: KVVec::with_capacity(probes, GFP_KERNEL)?,
            refused: KVVec::new(),
            pointers: KVVec::with_capacity(probes, GFP_KERNEL)?,
        })
    }

    /// Attaches the probes.
    ///
    /// # Safety
    ///
    /// They must be new, and their handler stay valid until they are detached.
    #[inline]
    unsafe fn attach(&mut self, locked: ops::Locked) -> Result {
        for probe in self.probes.iter() {
            self.pointers.push(ptr::from_ref(probe), GFP_KERNEL)?;
        }
        // SAFETY: By the safety requirements, and the probes do not move.
        unsafe { locked.attach(&mut self.pointers) }
    }
}

// SAFETY: Probes may be unregistered by any task, and `H` is `Send`.
unsafe impl<H: Handler> Send for EntrySet<H> {}
// SAFETY: `&EntrySet` gives access to `&H` and `&Probe`, which are `Sync`.
unsafe impl<H: Handler> Sync for EntrySet<H> {}

impl<H: Handler> EntrySet<H> {
    /// Registers `handler` at all of `targets`, or at none of them.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// The error of [`Entry::new`] for the first target that is refused, with its
    /// index; `EINVAL` if there are no targets; `ENOMEM`.
    #[inline]
    pub fn new<'a, E: 'a>(
        targets: &'a [Target<'a>],
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Refusal> + 'a
    where
        Refusal: From<E>,
    {
        Self::register(
            move |handler, _| Self::targets(targets, Wanted::All, handler),
            handler,
        )
    }

    /// Registers `handler` at those of `targets` that can be probed;
    /// [`EntrySet::refused`] lists the others, and why.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// Those of [`EntrySet::new`], if all targets are refused.
    #[inline]
    pub fn where_possible<'a, E: 'a>(
        targets: &'a [Target<'a>],
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Refusal> + 'a
    where
        Refusal: From<E>,
    {
        Self::register(
            move |handler, _| Self::targets(targets, Wanted::Possible, handler),
            handler,
        )
    }

    /// Registers `handler` at all functions that match `pattern`: a name with the
    /// wildcards `*`, `?` and `[...]`, or several, separated by commas or white
    /// space. `*` alone is all functions, some tens of thousands.
    ///
    /// It is for the kernel to say what matches: the functions that ftrace can
    /// trace, also of modules. Those of the same name are all of them. Their indices
    /// are in the order of their addresses; [`EntrySet::iter`] has the names.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// With the index of the pattern: `EINVAL` if it cannot be one, `ENOENT` if
    /// nothing matches. Otherwise those of [`Entry::new`], and `EOPNOTSUPP` if the
    /// kernel does not tell what matches.
    #[inline]
    pub fn matching<'a, E: 'a>(
        pattern: &'a CStr,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Refusal> + 'a
    where
        Refusal: From<E>,
    {
        Self::register(
            move |handler, locked| Self::functions(pattern, handler, locked),
            handler,
        )
    }

    /// `find` is called with the lock held.
    #[inline]
    fn register<'a, E: 'a>(
        find: impl FnOnce(*const H, &ops::Locked) -> Result<All, Refusal> + 'a,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Refusal> + 'a
    where
        Refusal: From<E>,
    {
        try_pin_init!(&this in Self {
            // First, because the kernel may call it before the registration returns.
            handler <- handler,
            // INVARIANT: They are attached.
            all: {
                // SAFETY: This only computes the address of a field.
                let handler = unsafe { &raw const (*this.as_ptr()).handler };
                may_register(handler)?;
                let locked = ops::lock()?;
                let mut all = find(handler, &locked)?;
                // SAFETY: The probes are new. The handler is initialised and pinned, and dropped
                // after they are detached.
                unsafe { all.attach(locked)? };
                all
            },
            // SAFETY: Each of `pointers`, which are not resized, points at an attached probe that
            // `leave` detaches. INVARIANT: This puts them on the list.
            held <- unsafe {
                Held::enter(leave, all.pointers.as_mut_ptr().cast(), all.pointers.len())
            },
        }? Refusal)
    }

    #[inline]
    fn targets(targets: &[Target<'_>], wanted: Wanted, handler: *const H) -> Result<All, Refusal> {
        if targets.is_empty() {
            return Err(EINVAL.into());
        }
        let mut all = All::with_capacity(targets.len())?;
        let mut seekers = Seekers::new(targets.len())?;
        for (index, target) in targets.iter().enumerate() {
            match seekers.seek(*target) {
                Ok(ip) => {
                    // SAFETY: `calls` are for handlers of this type.
                    let probe = unsafe { Probe::new(calls::<H>(), handler.cast(), index, ip) };
                    all.probes.push(probe, GFP_KERNEL)?;
                }
                Err(error) => {
                    let refusal = Refusal::at(index, error);
                    if wanted == Wanted::All {
                        return Err(refusal);
                    }
                    all.refused.push(refusal, GFP_KERNEL)?;
                }
            }
        }
        match (all.probes.is_empty(), all.refused.first()) {
            (true, Some(refusal)) => Err(*refusal),
            _ => Ok(all),
        }
    }

    #[inline]
    fn functions(pattern: &CStr, handler: *const H, locked: &ops::Locked) -> Result<All, Refusal> {
        let ips = pattern::functions(pattern, locked)?;
        let mut all = All::with_capacity(ips.len())?;
        for (index, &ip) in ips.iter().enumerate() {
            // SAFETY: `calls` are for handlers of this type.
            let probe = unsafe { Probe::new(calls::<H>(), handler.cast(), index, ip) };
            all.probes.push(probe, GFP_KERNEL)?;
        }
        Ok(all)
    }

    /// Returns the handler.
    #[inline]
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// Returns how many probes are registered.
    #[expect(clippy::len_without_is_empty, reason = "there is no empty set")]
    #[inline]
    pub fn len(&self) -> usize {
        self.all.probes.len()
    }

    /// Returns the probe at the target with this index, or `None` if there is no
    /// such target or it was refused.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&Probe> {
        let at = self
            .all
            .probes
            .binary_search_by_key(&index, Probe::index)
            .ok()?;
        self.all.probes.get(at)
    }

    /// Iterates over the probes and their indices.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Probe)> {
        self.all.probes.iter().map(|probe| (probe.index(), probe))
    }

    /// Iterates over the targets that were refused. Only [`EntrySet::where_possible`]
    /// leaves any.
    #[inline]
    pub fn refused(&self) -> impl Iterator<Item = Refusal> + '_ {
        self.all.refused.iter().copied()
    }

    /// Returns the sum of what its probes have [missed](Probe::missed).
    #[inline]
    pub fn missed(&self) -> u64 {
        self.all.probes.iter().map(Probe::missed).sum()
    }
}

#[pinned_drop]
impl<H: Handler> PinnedDrop for EntrySet<H> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant, `held` is on the list, and this is the only call of
        // `leave`.
        unsafe { self.held.leave() };
        self.handler.unregistered(self.missed());
    }
}

/// What probes with a handler of type `H` call.
#[inline(always)]
const fn calls<H: Handler>() -> probe::Calls {
    probe::Calls {
        last: hit::run::<H, true>,
        more: hit::run::<H, false>,
    }
}

/// Kprobes that are registered and disabled, and never enabled. Dropping them
/// unregisters them, in one grace period.
///
/// # Invariants
///
/// `kprobes` is not resized, and `registered` points at those that are registered.
struct Seekers {
    kprobes: KVVec<bindings::kprobe>,
    registered: KVVec<*mut bindings::kprobe>,
}

impl Seekers {
    /// Allocates room for that many.
    #[inline]
    fn new(count: usize) -> Result<Self> {
        Ok(Self {
            kprobes: KVVec::with_capacity(count, GFP_KERNEL)?,
            registered: KVVec::with_capacity(count, GFP_KERNEL)?,
        })
    }

    /// Returns the address of ftrace's call in the function `target`. The kprobe
    /// refuses what cannot be probed, and finds what has left.
    #[inline]
    fn seek(&mut self, target: Target<'_>) -> Result<usize> {
        if !target.is_entry() {
            return Err(EINVAL);
        }
        let mut empty = bindings::kprobe::default();
        target.fill(&mut empty);
        empty.flags = bindings::KPROBE_FLAG_DISABLED;
        self.kprobes
            .push_within_capacity(empty)
            .map_err(|_| ENOMEM)?;
        let kp = self.kprobes.last_mut().map(ptr::from_mut).ok_or(ENOMEM)?;
        // SAFETY: `kp` is filled in, and does not move until it is unregistered. It has no callbacks.
        to_result(unsafe { bindings::register_kprobe(kp) })?;
        // There is room, for there was in `kprobes`. INVARIANT: It is registered.
        let _ = self.registered.push_within_capacity(kp);
        // The caller need not keep the name.
        //
        // SAFETY: `kp` is valid, and nobody else writes this field.
        unsafe { (*kp).symbol_name = ptr::null() };
        let mut ip = 0;
        // SAFETY: `kp` is registered.
        to_result(unsafe { bindings::kprobes_entry_location(kp, &raw mut ip) })?;
        Ok(ip)
    }
}

impl Drop for Seekers {
    #[inline]
    fn drop(&mut self) {
        let count = self.registered.len() as c_int;
        // SAFETY: By the type invariant, these are registered. They were never armed, so that
        // cannot fail.
        unsafe { bindings::unregister_kprobes(self.registered.as_mut_ptr(), count) };
    }
}

/// Detaches the probes of a [`Held`].
///
/// # Safety
///
/// To be called once, as the `leave` of a [`Held`] with attached probes.
#[inline]
unsafe extern "C" fn leave(reg: *mut bindings::kprobes_registration, left: bool) {
    // SAFETY: By the safety requirements, `reg` is a field of a `struct kprobes_held`.
    let held = unsafe { container_of!(reg, bindings::kprobes_held, reg) };
    // SAFETY: By the safety requirements, it is valid.
    let (probes, count) = unsafe { ((*held).probes, (*held).count as usize) };
    let mut single = [probes.cast::<Probe>().cast_const()];
    let probes = match count {
        0 => &mut single[..],
        // SAFETY: By the safety requirements of `Held::enter`, it is an array of so many pointers,
        // which only this function uses.
        _ => unsafe { slice::from_raw_parts_mut(probes.cast(), count) },
    };
    if left {
        // SAFETY: The function only looks up the address.
        unsafe {
            let place = (*probes[0]).address().as_usize() as *const c_void;
            bindings::kprobes_tell_left(place, probes.len() as c_int);
        }
    }
    // SAFETY: By the safety requirements, these are attached, and this is the only call for them.
    unsafe { ops::detach(probes) };
}
