// SPDX-License-Identifier: GPL-2.0

//! Entry probes at several functions, named or matched by a pattern.

use super::{
    arm,
    calls,
    leave,
    ops,
    pattern,
    probe::Probe,
    seek::Seekers,
    Handler, //
};
use crate::{
    bindings,
    event::{
        Arm,
        ArmCall, //
    },
    held::Held,
    members::{
        Refusal,
        Wanted, //
    },
    registration::may_register,
    target::Target, //
};
use core::ptr;
use kernel::prelude::*;

/// Entry probes at several functions that share a handler.
/// [`Context::index`](crate::Context::index) tells which of them was hit.
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

    /// Attaches the probes, and enables those that `enabled` tells by their indices.
    ///
    /// # Safety
    ///
    /// They must be new, and their handler stay valid until they are detached.
    #[inline]
    unsafe fn attach(&mut self, locked: ops::Locked, enabled: impl Fn(usize) -> bool) -> Result {
        for probe in self.probes.iter() {
            self.pointers.push(ptr::from_ref(probe), GFP_KERNEL)?;
        }
        // SAFETY: By the safety requirements, and the probes do not move.
        unsafe { locked.attach(&mut self.pointers, |probe| enabled(probe.index())) }
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
    /// The error of [`Entry::new`](super::Entry::new) for the first target that is
    /// refused, with its index; `EINVAL` if there are no targets; `ENOMEM`.
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
            |index| !targets[index].is_disabled(),
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
            |index| !targets[index].is_disabled(),
            handler,
        )
    }

    /// Registers `handler` at all functions that match `pattern`: a name with the
    /// wildcards `*`, `?` and `[...]`, or several, separated by commas or white
    /// space. `*` alone is all functions, some tens of thousands.
    ///
    /// The kernel decides what matches: the functions that ftrace can trace, also of
    /// modules, and all of those that have the same name. Their indices
    /// are in the order of their addresses; [`EntrySet::iter`] has the names. Functions of a module
    /// that is being unloaded may be among them. Their probes [are gone](Probe::is_gone).
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// With the index of the pattern: `EINVAL` if it cannot be one, `ENOENT` if
    /// nothing matches. Otherwise `EINVAL` if all that matches is being unloaded, those of
    /// [`Entry::new`](super::Entry::new), and `EOPNOTSUPP` if this kernel cannot be asked what
    /// matches.
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
            |_| true,
            handler,
        )
    }

    /// `find` is called with the lock held. `enabled` tells which of the probes to enable, by
    /// their indices.
    #[inline]
    fn register<'a, E: 'a>(
        find: impl FnOnce(*const H, &ops::Locked) -> Result<All, Refusal> + 'a,
        enabled: impl Fn(usize) -> bool + 'a,
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
                unsafe { all.attach(locked, enabled)? };
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
        let (ips, unloaded) = loop {
            let ips = pattern::functions(pattern, locked)?;
            if let Some(unloaded) = locked.unloaded(&ips)? {
                break (ips, unloaded);
            }
        };
        let mut all = All::with_capacity(ips.len())?;
        for (index, &ip) in ips.iter().enumerate() {
            // SAFETY: `calls` are for handlers of this type.
            let probe = unsafe { Probe::new(calls::<H>(), handler.cast(), index, ip) };
            if unloaded.binary_search(&ip).is_ok() {
                probe.mark_gone();
            }
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

// SAFETY: By the type invariant, it is on the list until it is dropped, with attached probes.
unsafe impl<H: Handler> Arm for EntrySet<H> {
    const ARM: ArmCall = arm;

    #[inline]
    fn registration(&self) -> *mut bindings::kprobes_registration {
        self.held.registration()
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
