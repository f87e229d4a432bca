// SPDX-License-Identifier: GPL-2.0

//! Probes at several targets that share a handler.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)

use crate::{
    held::Held,
    kernel_ext::may_wait::may_wait,
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

/// Why a set was not registered, or not at one of its targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    target: Option<usize>,
    error: Error,
}

impl Refusal {
    /// The target that was refused, by its index; `None` where it is the set
    /// that could not be made.
    #[inline]
    pub fn target(&self) -> Option<usize> {
        self.target
    }

    /// The reason.
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

/// What becomes of a set where one of its targets is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// None is registered.
    All,
    /// The others are registered.
    Possible,
}

/// One probe of a set, and the way from it to the handler.
struct Member<K, H> {
    probe: Registered<K>,
    index: usize,
    /// Whether it was refused, and why.
    refused: Option<Error>,
    handler: *const H,
}

/// What a [`KprobeSet`](crate::KprobeSet) and a
/// [`KretprobeSet`](crate::KretprobeSet) have in common.
///
/// # Invariants
///
/// - `members` is never moved or resized, and `handler` of each is that of the set;
/// - until the set is dropped, the members that are not refused are registered, `pointers` points at
///   each of them, and `held` is on the module's list.
#[pin_data(PinnedDrop)]
pub struct Members<K: Raw, H: HandlerOf<K>> {
    #[pin]
    handler: H,
    members: KVVec<Member<K, H>>,
    /// What the kernel is to unregister at once.
    pointers: KVVec<*mut K>,
    #[pin]
    held: Held,
}

// SAFETY: The kernel registers and unregisters a probe in any task's context.
unsafe impl<K: Raw, H: HandlerOf<K> + Send> Send for Members<K, H> {}
// SAFETY: `&Members` gives out `&H`, and `&Probe`, which is `Sync`.
unsafe impl<K: Raw, H: HandlerOf<K> + Sync> Sync for Members<K, H> {}

impl<K: Raw, H: HandlerOf<K>> Members<K, H> {
    /// Registers a probe at each of `targets` by `plan`.
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
            // The kernel may call the handler before the registration returns, so it comes first.
            handler <- handler,
            // SAFETY: This only computes the address of a field.
            members: Member::all(targets.len(), unsafe { &raw const (*this.as_ptr()).handler })?,
            // SAFETY: The handler is initialised, and stays where it is. The members are not resized
            // until the drop.
            pointers: unsafe { Member::register(members, targets, wanted, plan)? },
            // SAFETY: Each of the pointers points at a registered probe, for which `LEAVE` is; they
            // are not resized. INVARIANT: They are on the list.
            held <- unsafe {
                Held::enter(H::LEAVE, pointers.as_mut_ptr().cast(), pointers.len())
            },
        }? Refusal)
    }

    /// The handler, and whatever state it keeps.
    #[inline]
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// How many probes are registered.
    #[expect(clippy::len_without_is_empty, reason = "there is no empty set")]
    #[inline]
    pub fn len(&self) -> usize {
        self.pointers.len()
    }

    /// The probe at a target, by the target's index; `None` where there is no
    /// such target, or it was refused.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&Probe> {
        self.members.get(index)?.probe()
    }

    /// The probes, each with the index of its target.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Probe)> {
        let members = self.members.iter();
        members.filter_map(|member| Some((member.index, member.probe()?)))
    }

    /// The targets that were refused. There are none but in a set that was made
    /// of what is possible.
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
        // SAFETY: By the type invariant, they are on the list; this is the only call. No handler
        // runs after it.
        unsafe { self.held.leave() };
        // The kernel has forgotten the C structs, whose counters stay readable.
        let missed = self.iter().map(|(_, probe)| probe.missed()).sum();
        self.handler.unregistered(missed);
    }
}

impl<K: Raw, H> Member<K, H> {
    /// As many members as there are targets.
    #[inline]
    fn all(targets: usize, handler: *const H) -> Result<KVVec<Self>> {
        if targets == 0 {
            return Err(EINVAL);
        }
        // Before the first allocation, which may sleep as well.
        may_wait()?;
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

    /// Registers the members, and returns pointers to those that are.
    ///
    /// # Safety
    ///
    /// The members must stay where they are, and their handler be valid, until
    /// they are unregistered.
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
            // SAFETY: There are as many members as targets, and by the safety requirements, they stay
            // where they are.
            let raw = unsafe { Registered::prepare(&raw mut (*members.add(index)).probe) };
            pointers.push(raw, GFP_KERNEL)?;
        }

        let mut first = None;
        // SAFETY: By the safety requirements. The closures are passed the pointers.
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

    /// The member that a probe is of.
    ///
    /// # Safety
    ///
    /// `raw` must be that of a member.
    #[inline(always)]
    unsafe fn of(raw: *mut K) -> *mut Self {
        let raw = Opaque::cast_from(raw.cast_const()).cast_mut();
        // SAFETY: By the safety requirements, it lies in a member.
        unsafe { container_of!(raw, Self, probe.raw) }
    }

    #[inline]
    fn probe(&self) -> Option<&Probe> {
        // SAFETY: What was not refused is registered as long as the set is, by its invariant.
        let probe = unsafe { Probe::from_raw(&raw const self.probe) };
        self.refused.is_none().then_some(probe)
    }
}

// SAFETY: `raw` is that of a member of a set whose handler was initialised before the registration.
unsafe impl<K: Raw, H: HandlerOf<K>> Owner<K> for Members<K, H> {
    type Handler = H;

    #[inline(always)]
    unsafe fn hit<'a>(raw: *mut K) -> Hit<'a, H> {
        // SAFETY: By the safety requirements, it is a member's, which is valid for `'a`, because
        // the drop waits for the handlers.
        let member = unsafe { Member::<K, H>::of(raw) };
        // SAFETY: As above, and nobody writes these two fields.
        let (handler, index) = unsafe { ((*member).handler, (*member).index) };
        // SAFETY: The set is pinned and outlives its members; its handler is initialised.
        let handler = unsafe { &*handler };
        Hit { handler, index }
    }
}

/// Lets a type that holds [`Members`] be used as these.
macro_rules! derefs_to_members {
    ($name:ident: $raw:ident) => {
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
