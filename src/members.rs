// SPDX-License-Identifier: GPL-2.0

//! A set of probes that share a handler.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)

use crate::{
    bindings,
    held::Held,
    probe::{
        Probe,
        Registered, //
    },
    registration::{
        self,
        Plan,
        Raw, //
    },
    slot::{
        HandlerOf,
        Hit,
        Owner, //
    },
    target::Target, //
};
use core::convert::Infallible;
use kernel::{
    alloc::AllocError,
    container_of,
    prelude::*,
    types::Opaque, //
};

/// Why a set, or one of its targets, was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    target: Option<usize>,
    error: Error,
}

impl Refusal {
    #[inline]
    pub(crate) const fn at(index: usize, error: Error) -> Self {
        Self {
            target: Some(index),
            error,
        }
    }

    /// Returns the index of the target that was refused, or `None` if the error
    /// concerns the whole set.
    #[inline]
    pub fn target(&self) -> Option<usize> {
        self.target
    }

    /// Returns the error.
    #[inline]
    pub fn error(&self) -> Error {
        self.error
    }
}

impl From<Refusal> for Error {
    #[inline]
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl From<Error> for Refusal {
    #[inline]
    fn from(error: Error) -> Self {
        Self {
            target: None,
            error,
        }
    }
}

impl From<AllocError> for Refusal {
    #[inline]
    fn from(error: AllocError) -> Self {
        Error::from(error).into()
    }
}

impl From<Infallible> for Refusal {
    #[inline]
    fn from(error: Infallible) -> Self {
        match error {}
    }
}

/// Which targets of a set have to be registered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of them, or none.
    All,
    /// Those that can be.
    Possible,
}

/// One probe of a set.
struct Member<K, H> {
    probe: Registered<K>,
    index: usize,
    /// The error, if it was refused.
    refused: Option<Error>,
    handler: *const H,
}

/// The probes of a [`KprobeSet`](crate::KprobeSet) or a
/// [`KretprobeSet`](crate::KretprobeSet).
///
/// # Invariants
///
/// - `members` is never moved or resized, and `handler` of each points at that of the set.
/// - Until the set is dropped, the members that were not refused are registered, `pointers` points
///   at each of them, and `held` is on the module's list.
#[pin_data(PinnedDrop)]
pub struct Members<K: Raw, H: HandlerOf<K>> {
    #[pin]
    handler: H,
    members: KVVec<Member<K, H>>,
    /// The members that are registered, for `unregister_k(ret)probes()`.
    pointers: KVVec<*mut K>,
    #[pin]
    held: Held,
}

// SAFETY: Probes may be unregistered by any task, and `H` is `Send`.
unsafe impl<K: Raw, H: HandlerOf<K> + Send> Send for Members<K, H> {}
// SAFETY: `&Members` gives access to `&H` and `&Probe`, which are `Sync`.
unsafe impl<K: Raw, H: HandlerOf<K> + Sync> Sync for Members<K, H> {}

impl<K: Raw, H: HandlerOf<K>> Members<K, H> {
    /// Registers a probe at each of `targets`, as `plan` says.
    ///
    /// # Safety
    ///
    /// The callbacks of `plan` must be for probes of a `Members<K, H>`.
    #[inline]
    pub(crate) unsafe fn new<'a, E: 'a, P: Plan<K>>(
        targets: &'a [Target<'a>],
        wanted: Wanted,
        plan: impl Fn(Target<'a>) -> P + 'a,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Refusal> + 'a
    where
        Refusal: From<E>,
        Self: 'a,
    {
        try_pin_init!(&this in Self {
            // First, because the kernel may call it before the registration returns.
            handler <- handler,
            // SAFETY: This only computes the address of a field.
            members: Member::all(targets.len(), unsafe { &raw const (*this.as_ptr()).handler })?,
            // SAFETY: The handler is initialised and pinned, and the members are not resized; both
            // are dropped after the probes are unregistered.
            pointers: unsafe { Member::register(members, targets, wanted, plan)? },
            // SAFETY: Each of `pointers`, which are not resized, points at a registered probe that
            // `LEAVE` unregisters. INVARIANT: This puts them on the list.
            held <- unsafe {
                Held::enter(H::LEAVE, pointers.as_mut_ptr().cast(), pointers.len())
            },
        }? Refusal)
    }

    /// Returns the handler.
    #[inline]
    pub fn handler(&self) -> &H {
        &self.handler
    }

    #[inline]
    pub(crate) fn registration(&self) -> *mut bindings::kprobes_registration {
        self.held.registration()
    }

    /// Returns how many probes are registered.
    #[expect(clippy::len_without_is_empty, reason = "there is no empty set")]
    #[inline]
    pub fn len(&self) -> usize {
        self.pointers.len()
    }

    /// Returns the probe at the target with this index, or `None` if there is no
    /// such target or it was refused.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&Probe> {
        self.members.get(index)?.probe()
    }

    /// Iterates over the probes and the indices of their targets.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Probe)> {
        let members = self.members.iter();
        members.filter_map(|member| Some((member.index, member.probe()?)))
    }

    /// Iterates over the targets that were refused. Only the `where_possible`
    /// constructors leave any.
    #[inline]
    pub fn refused(&self) -> impl Iterator<Item = Refusal> + '_ {
        self.members.iter().filter_map(|member| {
            Some(Refusal {
                target: Some(member.index),
                error: member.refused?,
            })
        })
    }
}

#[pinned_drop]
impl<K: Raw, H: HandlerOf<K>> PinnedDrop for Members<K, H> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant, `held` is on the list, and this is the only call of
        // `leave`.
        unsafe { self.held.leave() };
        let members = self
            .members
            .iter()
            .filter(|member| member.refused.is_none());
        // SAFETY: By the type invariant, these members were registered until now.
        let missed = members.map(|member| unsafe { member.probe.missed() }).sum();
        self.handler.unregistered(missed);
    }
}

impl<K: Raw, H> Member<K, H> {
    /// Allocates the members.
    #[inline]
    fn all(targets: usize, handler: *const H) -> Result<KVVec<Self>> {
        if targets == 0 {
            return Err(EINVAL);
        }
        // Before the first allocation, which may sleep as well.
        registration::may_register(handler)?;
        let mut members = KVVec::with_capacity(targets, GFP_KERNEL)?;
        for index in 0..targets {
            let member = Self {
                probe: Registered::uninit(),
                index,
                refused: None,
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
    /// There must be a member for each target. The members must not move, and
    /// their handler must stay valid, until they are unregistered. The callbacks
    /// of `plan` must be for members of this type.
    #[inline]
    unsafe fn register<'a, P: Plan<K>>(
        members: &mut [Self],
        targets: &[Target<'a>],
        wanted: Wanted,
        plan: impl Fn(Target<'a>) -> P,
    ) -> Result<KVVec<*mut K>, Refusal>
    where
        K: Raw,
    {
        let mut pointers = KVVec::with_capacity(members.len(), GFP_KERNEL)?;
        let members = members.as_mut_ptr();
        for index in 0..targets.len() {
            // SAFETY: By the safety requirements, there is a member `index`, and it does not move.
            let raw = unsafe { Registered::prepare(&raw mut (*members.add(index)).probe) };
            pointers.push(raw, GFP_KERNEL)?;
        }

        let mut first = None;
        // SAFETY: By the safety requirements, the probes may be registered. The closures are called
        // with pointers to members, which nobody else accesses before they are enabled.
        let registered = unsafe {
            registration::register(
                &mut pointers,
                |raw| plan(targets[(*Self::of(raw)).index]),
                |raw, error| {
                    let member = Self::of(raw);
                    (*member).refused = Some(error);
                    first.get_or_insert(Refusal {
                        target: Some((*member).index),
                        error,
                    });
                    match wanted {
                        Wanted::All => Err(error),
                        Wanted::Possible => Ok(()),
                    }
                },
            )
        };
        match (registered, first) {
            (Ok(0) | Err(_), Some(refusal)) => Err(refusal),
            (Err(error), None) => Err(error.into()),
            (Ok(registered), _) => {
                pointers.truncate(registered);
                Ok(pointers)
            }
        }
    }

    /// Returns the member that a probe belongs to.
    ///
    /// # Safety
    ///
    /// `raw` must be the probe of a member.
    #[inline(always)]
    unsafe fn of(raw: *mut K) -> *mut Self {
        let raw = Opaque::cast_from(raw.cast_const()).cast_mut();
        // SAFETY: By the safety requirements, `raw` is a field of a member.
        unsafe { container_of!(raw, Self, probe.raw) }
    }

    #[inline]
    fn probe(&self) -> Option<&Probe> {
        if self.refused.is_some() {
            return None;
        }
        // SAFETY: By the type invariant of `Members`, a member that was not refused is registered
        // until the set is dropped.
        Some(unsafe { Probe::from_raw(&raw const self.probe) })
    }
}

// SAFETY: A registered `raw` is the probe of a member, whose set's handler was initialised before
// it.
unsafe impl<K: Raw, H: HandlerOf<K>> Owner<K> for Members<K, H> {
    type Handler = H;

    #[inline(always)]
    unsafe fn hit<'a>(raw: *mut K) -> Hit<'a, H> {
        // SAFETY: By the safety requirements, `raw` is the probe of a member.
        let member = unsafe { Member::<K, H>::of(raw) };
        // SAFETY: The member is valid for `'a`, because dropping the set waits for running
        // handlers, and nobody writes these two fields.
        let (handler, index) = unsafe { ((*member).handler, (*member).index) };
        // SAFETY: By the type invariant, this is the handler of the set, which is pinned.
        let handler = unsafe { &*handler };
        Hit { handler, index }
    }
}

/// Implements `Deref` to the members for a type with [`Members`].
macro_rules! derefs_to_members {
    ($name:ident: $raw:ident) => {
        // SAFETY: By the invariant of `Members`, it is on the list until it is dropped.
        unsafe impl<H: Handler> crate::event::Arm for $name<H> {
            const ARM: crate::event::ArmCall = bindings::kprobes_arm_held;

            #[inline]
            fn registration(&self) -> *mut bindings::kprobes_registration {
                self.members.registration()
            }
        }

        impl<H: Handler> core::ops::Deref for $name<H> {
            type Target = crate::Members<bindings::$raw, H>;

            #[inline(always)]
            fn deref(&self) -> &Self::Target {
                &self.members
            }
        }
    };
}
pub(crate) use derefs_to_members;
