// SPDX-License-Identifier: GPL-2.0

//! A set of probes that share a handler.

use super::{
    module_entry::ModuleEntry,
    named::refused,
    registered::switches, //
};
use crate::kernel_ext::may_wait::{may_register, may_wait};
use crate::prelude::*;
use crate::probe::{
    constructor, constructors, index_of, Handles, Kind, Options, Owner, Raw, Registered, Safe,
};

/// Probes of the kind `K` at several targets that share a handler. The context's `index()` is the
/// index of the target that was hit.
///
/// Dropping the set unregisters all probes together and waits for running handlers, so it must not
/// be dropped in a handler.
///
/// # Invariants
///
/// - `members` is never moved or resized, and `handler` of each points at the handler of the set.
/// - Until the set is dropped, the members that were not refused are registered, `pointers` points
///   at each of them, and `entry` is on the module's list.
#[pin_data(PinnedDrop)]
#[must_use = "dropping the set unregisters it"]
pub struct Set<K: Kind, H: Handles<K>> {
    #[pin]
    handler: H,
    members: KVVec<Member<K, H>>,
    /// The registered members.
    pointers: KVVec<*mut K::Raw>,
    #[pin]
    pub(super) entry: ModuleEntry,
}

/// A target of a set that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The index of the target.
    pub target: usize,
    /// The error.
    pub error: Error,
}

#[repr(C)]
pub(crate) struct Member<K: Kind, H> {
    registered: Registered<K>,
    handler: *const H,
}

// SAFETY: Any task may unregister probes, and `H` is `Send`.
unsafe impl<K: Kind, H: Handles<K>> Send for Set<K, H> {}
// SAFETY: `&Set` gives access to `&H` and `&Registered`, which are `Sync`.
unsafe impl<K: Kind, H: Handles<K>> Sync for Set<K, H> {}

impl<K: Safe, H: Handles<K>> Set<K, H> {
    constructors! {
        /// Registers `handler` at all of the targets, or at none. With [`Options::partial`], skips
        /// targets that are refused.
        ///
        /// Context: process context; it sleeps.
        ///
        /// Errors: that of [`Probe::new`](super::Probe::new) for the first target that is refused,
        /// whose index is logged. `EINVAL` if there are no targets; `ENOMEM`.
        for<'a> &'a [K::Target<'a>], Options<K::Specific>, at
    }
}

impl<K: Kind, H: Handles<K>> Set<K, H> {
    constructor! {
        pub(crate) fn at<'a>(
            handler,
            targets: &'a [K::Target<'a>],
            options: Options<K::Specific>,
        ) {
            let plan = move |index| H::plan::<Member<K, H>>(targets[index], options);
            let resolve = move |_: &_| Ok((targets.len(), plan));
            let explain =
                move |n: c_int, error| refused::<K>(targets[n as usize], options, n, error);
            Self::register(resolve, options.partial, explain, handler)
        }
    }

    /// Registers a probe for each target that `resolve` returns. `resolve` is called under the lock
    /// of this kind, and returns the number of targets and the plan of each. `explain` is called
    /// for the first target that is refused, if that is an error.
    pub(crate) fn register<'a, E: 'a, P: Fn(usize) -> <K::Raw as Raw>::Plan<'a>>(
        resolve: impl FnOnce(&<K::Raw as Raw>::Guard) -> Result<(usize, P)> + 'a,
        partial: bool,
        explain: impl Fn(c_int, Error) -> Error + 'a,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        try_pin_init!(&this in Self {
            // First: the kernel may call it before the registration returns.
            handler <- handler,
            members: KVVec::new(),
            pointers: {
                // SAFETY: This only computes the address of a field.
                let handler = unsafe { &raw const (*this.as_ptr()).handler };
                may_register(handler)?;
                let guard = K::Raw::lock()?;
                let (count, plan) = resolve(&guard)?;
                *members = Member::all(count, handler)?;
                // SAFETY: The handler is initialised, and neither it nor the members move. Both are
                // dropped after the probes are unregistered.
                unsafe { Member::register(guard, members, partial, explain, plan)? }
            },
            // SAFETY: Each of `pointers`, which do not move, points at a registered probe.
            // INVARIANT: This adds it to the list.
            entry <- unsafe {
                ModuleEntry::add::<K>(pointers[0], pointers.as_ptr(), pointers.len())
            },
        })
    }

    /// Returns the handler.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// Returns the number of registered probes.
    #[expect(clippy::len_without_is_empty, reason = "there is no empty set")]
    pub fn len(&self) -> usize {
        self.pointers.len()
    }

    /// Returns the probe at the target with this index, or `None` if the target does not exist or
    /// was refused.
    pub fn get(&self, index: usize) -> Option<&Registered<K>> {
        self.members.get(index)?.registered()
    }

    /// Iterates over the probes and the indices of their targets.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Registered<K>)> {
        let members = self.members.iter();
        members.filter_map(|member| Some((member.index(), member.registered()?)))
    }

    /// Iterates over the targets that were refused. Only an [`Options::partial`] set has any.
    pub fn refused(&self) -> impl Iterator<Item = Refusal> + '_ {
        self.members.iter().filter_map(|member| {
            Some(Refusal {
                target: member.index(),
                error: member.registered.refused.get()?,
            })
        })
    }

    /// Returns the sum of [missed](Registered::missed) hits of all probes.
    pub fn missed(&self) -> u64 {
        // SAFETY: By the type invariant, these are registered, or in `drop`, were until now.
        let missed = |raw: &*mut K::Raw| unsafe { K::Raw::missed(*raw) };
        self.pointers.iter().map(missed).sum()
    }

    switches! {
        |this| &this.pointers;
        /// Enables all probes of the set, except those that are gone. If one cannot be enabled,
        /// those before it are disabled again.
        ///
        /// Context: process context; it sleeps.
        ///
        /// Errors: those of [`Registered::enable`]; `EINVAL` if all are gone.
        enable = true;
        /// Disables all probes of the set, see [`Registered::disable`]. If one cannot be disabled,
        /// those before it are enabled again.
        ///
        /// Context: process context; it sleeps.
        ///
        /// Errors: those of [`Registered::disable`].
        disable = false;
    }
}

impl<K: Kind, H: Handles<K>> fmt::Debug for Set<K, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[pinned_drop]
impl<K: Kind, H: Handles<K>> PinnedDrop for Set<K, H> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: This is the only call of `remove`.
        unsafe { self.entry.remove() };
        self.handler.unregistered(self.missed());
    }
}

impl<K: Kind, H: Handles<K>> Member<K, H> {
    fn all(targets: usize, handler: *const H) -> Result<KVVec<Self>> {
        if targets == 0 {
            return Err(EINVAL);
        }
        let mut members = KVVec::with_capacity(targets, GFP_KERNEL)?;
        for index in 0..targets {
            let member = Self {
                registered: Registered::uninit(index as u32),
                handler,
            };
            members.push(member, GFP_KERNEL)?;
        }
        Ok(members)
    }

    /// Registers the members and returns pointers to those that are registered.
    ///
    /// # Safety
    ///
    /// The members must not move, and their handler must stay valid, until they are unregistered.
    /// The plans must have callbacks for members of this type.
    unsafe fn register<'a>(
        guard: <K::Raw as Raw>::Guard,
        members: &mut [Self],
        partial: bool,
        explain: impl Fn(c_int, Error) -> Error,
        plan: impl Fn(usize) -> <K::Raw as Raw>::Plan<'a>,
    ) -> Result<KVVec<*mut K::Raw>> {
        let mut pointers = KVVec::with_capacity(members.len(), GFP_KERNEL)?;
        for member in members {
            pointers.push(member.registered.as_raw(), GFP_KERNEL)?;
        }

        let mut first = None;
        // SAFETY: By the safety requirements, the members and the handler stay valid. The closures
        // get pointers to members, which no other code accesses before they are enabled.
        let registered = unsafe {
            K::Raw::register::<K>(
                guard,
                &mut pointers,
                |raw| plan(index_of(raw)),
                |raw, error| {
                    (*Registered::<K>::from_raw(raw)).refused.set(Some(error));
                    first.get_or_insert((index_of(raw) as c_int, error));
                    if partial {
                        Ok(())
                    } else {
                        Err(error)
                    }
                },
            )
        };
        let error = match registered {
            Ok(0) => None,
            // A partial set skips targets that are refused, so this is not the error of a target.
            Err(error) if partial => return Err(error),
            Err(error) => Some(error),
            Ok(registered) => {
                pointers.truncate(registered);
                return Ok(pointers);
            }
        };
        if let Some((index, error)) = first {
            explain(index, error);
        }
        Err(error.or(first.map(|(_, error)| error)).unwrap_or(EINVAL))
    }

    fn index(&self) -> usize {
        self.registered.index as usize
    }

    fn registered(&self) -> Option<&Registered<K>> {
        // By the type invariant of `Set`, a member that was not refused is registered until the set
        // is dropped.
        self.registered
            .refused
            .get()
            .is_none()
            .then_some(&self.registered)
    }
}

// SAFETY: `handler` of a member is initialised before the member is registered.
unsafe impl<K: Kind, H: Handles<K>> Owner<K::Raw> for Member<K, H> {
    type Handler = H;

    #[inline(always)]
    unsafe fn handler<'a>(raw: *mut K::Raw) -> &'a H {
        // SAFETY: By the safety requirements, `raw` is that of a member.
        let member = unsafe { container_of!(Registered::<K>::from_raw(raw), Self, registered) };
        // SAFETY: The member is valid for `'a`, because dropping the set waits for running
        // handlers. By the type invariant of `Set`, `handler` points at the pinned handler.
        unsafe { &*(*member).handler }
    }
}
