// SPDX-License-Identifier: GPL-2.0

//! Many probes that are registered and unregistered as one.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Handlers run in the context that was probed, with preemption off: they must
//! not sleep. They may run on several CPUs at once, and for several members.

use crate::{
    bindings,
    context::{Context, Post, Pre},
    kprobe::{
        Callbacks,
        Handler, //
    },
    kretprobe::{
        self,
        Callback,
        ReturnHandler, //
    },
    probe::{
        self,
        Registered, //
    },
    register::{
        self,
        Calls,
        Held,
        Leave,
        Raw, //
    },
    regs,
    target::Target, //
};
use core::marker::PhantomPinned;
use kernel::{
    container_of,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// One probe of a set: what the kernel keeps, and the way from it to the rest.
struct Member<K, S> {
    probe: K,
    index: usize,
    set: *const S,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// The kernel does not know it.
    Out,
    /// It is registered.
    In,
    /// It is registered, but not in the way that it has to be.
    Again,
}

/// The members of a set, which stay where they are.
///
/// # Invariants
///
/// - `members` is never moved or resized while one of them is registered;
/// - a member's probe is registered unless its state is [`State::Out`]; once [`Members::register`]
///   has succeeded, each of them is, until the set's [`Held::leave`];
/// - there are as many `pointers` as members; once [`Members::register`] has succeeded, they point
///   at their probes.
struct Members<K: Raw, S> {
    members: KVVec<Member<K, S>>,
    /// Room for what the kernel is to unregister at once.
    pointers: KVVec<*mut K>,
}

impl<K: Raw, S> Members<K, S> {
    /// Registers a member for each target, or none.
    ///
    /// `fill` prepares a probe that is all zeroes for being registered, the
    /// second time with `true`, where `calls` says that this has to be.
    ///
    /// # Safety
    ///
    /// `set` must stay where it is, and what the handlers use of it must be
    /// valid, until the members are unregistered.
    #[inline]
    unsafe fn register(
        set: *const S,
        targets: &[Target<'_>],
        fill: impl Fn(&Target<'_>, &mut K, bool),
        calls: Option<&Calls>,
        ask: bool,
        refused: impl FnOnce(usize, Error),
    ) -> Result<Self> {
        if targets.is_empty() {
            return Err(EINVAL);
        }
        let mut this = Self {
            members: KVVec::with_capacity(targets.len(), GFP_KERNEL)?,
            pointers: KVVec::from_elem(core::ptr::null_mut(), targets.len(), GFP_KERNEL)?,
        };
        for index in 0..targets.len() {
            let member = Member {
                // SAFETY: All zeroes is a value of the C struct that `K` is.
                probe: unsafe { core::mem::zeroed() },
                index,
                set,
                state: State::Out,
            };
            this.members.push(member, GFP_KERNEL)?;
        }
        // INVARIANT: From here on `members` is as long as it will ever be. Moving `this` moves the
        // vector, not what is in it.
        //
        // SAFETY: By this function's contract.
        if let Err((index, error)) = unsafe { this.try_register(targets, fill, calls, ask) } {
            refused(index, error);
            this.leave(|_| true);
            return Err(error);
        }
        for index in 0..targets.len() {
            // SAFETY: This only computes the address of a field of a member that there is.
            this.pointers[index] = unsafe { &raw mut (*this.member(index)).probe };
        }
        Ok(this)
    }

    /// As [`Members::register`]; fails with the index of the target that was
    /// refused, and leaves the members before it registered.
    ///
    /// # Safety
    ///
    /// As for [`Members::register`]; no member may be registered yet.
    #[inline]
    unsafe fn try_register(
        &mut self,
        targets: &[Target<'_>],
        fill: impl Fn(&Target<'_>, &mut K, bool),
        calls: Option<&Calls>,
        ask: bool,
    ) -> Result<(), (usize, Error)> {
        let add = |member: *mut Member<K, S>, index: usize, again: bool| {
            // SAFETY: The member is not registered, so that nobody else uses it. It stays where it is
            // as long as it is registered, by the type invariant.
            unsafe {
                let probe = &raw mut (*member).probe;
                probe.write_bytes(0, 1);
                fill(&targets[index], &mut *probe, again);
                register::register(probe).map_err(|error| (index, error))?;
                (*member).state = State::In;
                if ask {
                    K::admit(probe).map_err(|error| (index, error))?;
                }
            }
            Ok(())
        };

        for index in 0..targets.len() {
            add(self.member(index), index, false)?;
        }
        if let Some(calls) = calls {
            for index in 0..targets.len() {
                let member = self.member(index);
                // SAFETY: The member is registered, and disabled.
                unsafe {
                    if calls.settle(K::kprobe(&raw mut (*member).probe)) {
                        (*member).state = State::Again;
                    }
                }
            }
            if self.leave(|state| state == State::Again) {
                for index in 0..targets.len() {
                    let member = self.member(index);
                    // SAFETY: The member is valid.
                    if unsafe { (*member).state } == State::Out {
                        add(member, index, true)?;
                    }
                }
            }
        }
        for index in 0..targets.len() {
            // SAFETY: The member is registered.
            unsafe {
                let probe = K::kprobe(&raw mut (*self.member(index)).probe);
                register::enable(probe).map_err(|error| (index, error))?;
            }
        }
        Ok(())
    }

    /// Unregisters those whose state is asked for, in one grace period; returns
    /// whether there were any.
    #[inline]
    fn leave(&mut self, which: impl Fn(State) -> bool) -> bool {
        let mut n = 0;
        for index in 0..self.members.len() {
            let member = self.member(index);
            // SAFETY: The member is valid, and nobody else uses its state.
            unsafe {
                if (*member).state != State::Out && which((*member).state) {
                    self.pointers[n] = &raw mut (*member).probe;
                    n += 1;
                    (*member).state = State::Out;
                }
            }
        }
        if n != 0 {
            // SAFETY: By the type invariant they were registered. INVARIANT: Now they are not.
            unsafe { register::unregister_all(&mut self.pointers[..n]) };
        }
        n != 0
    }

    /// What is to be on the list of what is registered, once all of them are.
    ///
    /// # Safety
    ///
    /// `this` must be pinned, and [`Members::register`] must have succeeded.
    #[inline]
    unsafe fn held(this: *mut Self, leave: Leave) -> impl PinInit<Held> {
        // SAFETY: By this function's contract. There are as many pointers as members, to each of
        // them, and neither vector is resized.
        unsafe {
            let pointers = &mut (*this).pointers;
            Held::enter(leave, pointers.as_mut_ptr().cast(), pointers.len())
        }
    }

    /// A member, without a reference to it: the kernel writes there while it
    /// is registered.
    #[inline]
    fn member(&mut self, index: usize) -> *mut Member<K, S> {
        debug_assert!(index < self.members.len());
        self.members.as_mut_ptr().wrapping_add(index)
    }

    /// The probe of a member, which is registered.
    #[inline]
    fn get(&self, index: usize) -> Option<*mut K> {
        if index >= self.members.len() {
            return None;
        }
        let member = self.members.as_ptr().wrapping_add(index).cast_mut();
        // SAFETY: This only computes the address of a field of a member that there is.
        Some(unsafe { &raw mut (*member).probe })
    }
}

/// Kprobes at several targets, with one handler; [`Context::index`] tells which
/// of them was hit.
///
/// All are registered, or none. Dropping the set unregisters them in one grace
/// period, and waits until no handler runs; never drop one in a handler.
///
/// Since Linux 7.2. C functions: `register_kprobe()`, `unregister_kprobes()`.
///
/// # Invariants
///
/// The members are registered until the value is dropped, and point at it.
#[pin_data(PinnedDrop)]
#[must_use = "a set that is dropped is unregistered"]
pub struct KprobeSet<H: Handler> {
    #[pin]
    handler: H,
    skipped: Atomic<bool>,
    members: Members<bindings::kprobe, Self>,
    #[pin]
    held: Held,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: As for `Kprobe`: a kprobe belongs to no task, and `H` is `Send`.
unsafe impl<H: Handler> Send for KprobeSet<H> {}
// SAFETY: As for `Kprobe`: `&KprobeSet` gives out `&H`, which is `Sync`, and reads of the members
// that tolerate the kernel's concurrent writes.
unsafe impl<H: Handler> Sync for KprobeSet<H> {}

impl<H: Handler> KprobeSet<H> {
    const CALLS: Calls = Calls {
        pre: if H::HAS_PRE { Some(Self::pre) } else { None },
        post: if H::HAS_POST { Some(Self::post) } else { None },
        both: Self::both,
    };

    /// Registers `handler` at each of `targets`.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// `EINVAL` without a target, `ENOMEM`, and those of [`Kprobe::new`] for
    /// the first target that is refused.
    ///
    /// [`Kprobe::new`]: crate::Kprobe::new
    #[inline]
    pub fn new<'a, E: 'a>(
        targets: &'a [Target<'a>],
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        Self::new_or_tell(targets, handler, |_, _| ())
    }

    /// As [`KprobeSet::new`]; `refused` is called with the target that was
    /// refused, from 0, and why, before the others are unregistered.
    #[inline]
    pub fn new_or_tell<'a, E: 'a>(
        targets: &'a [Target<'a>],
        handler: impl PinInit<H, E> + 'a,
        refused: impl FnOnce(usize, Error) + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        const { assert!(H::HAS_PRE || H::HAS_POST, "a Handler needs pre or post") };
        try_pin_init!(&this in Self {
            // What the handlers use comes before the registration.
            handler <- handler,
            skipped: Atomic::new(false),
            // SAFETY: `this` is pinned, and dropping it unregisters the members first. Until then
            // the handlers use `handler` and `skipped`, which are initialised.
            members: unsafe {
                Members::register(
                    this.as_ptr(),
                    targets,
                    |target, kp: &mut bindings::kprobe, again| {
                        target.fill(kp);
                        if again {
                            Self::CALLS.again(kp);
                        } else {
                            Self::CALLS.first(kp);
                        }
                    },
                    Some(&Self::CALLS),
                    false,
                    refused,
                )?
            },
            // SAFETY: The set is pinned, and what `drop` does first is to leave.
            held <- unsafe {
                Members::held(&raw mut (*this.as_ptr()).members, Callbacks::<H>::LEAVE)
            },
            _pin: PhantomPinned,
        })
    }

    /// The handler, and whatever state it keeps.
    #[inline]
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// How many members it has.
    #[expect(clippy::len_without_is_empty, reason = "there is no empty set")]
    #[inline]
    pub fn len(&self) -> usize {
        self.members.members.len()
    }

    /// A member, by the index of its target.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Registered<'_>> {
        let kp = self.members.get(index)?;
        // SAFETY: By the type invariant the member is registered as long as `self` is.
        Some(unsafe { Registered::kprobe(kp) })
    }

    /// # Safety
    ///
    /// Only for the `pre_handler` of a member of a `KprobeSet<H>`.
    #[inline]
    unsafe extern "C" fn pre(kp: *mut bindings::kprobe, regs: *mut bindings::pt_regs) -> c_int {
        // SAFETY: By this function's contract; dropping the set waits for this handler.
        let (handler, skipped, index) = unsafe { Self::member(kp) };
        // SAFETY: The kernel passes the registers of the probed code and the probe that was hit;
        // both are ours for the time of this call.
        let cx = unsafe { Context::<Pre>::new(regs, kp, index, H::HAS_POST) };
        handler.pre(&cx);
        if H::HAS_POST && cx.skips() {
            skipped.store(true, Relaxed);
            return 1;
        }
        0
    }

    /// # Safety
    ///
    /// Only for the `post_handler` of a member of a `KprobeSet<H>`.
    #[inline]
    unsafe extern "C" fn post(
        kp: *mut bindings::kprobe,
        regs: *mut bindings::pt_regs,
        _flags: c_ulong,
    ) {
        // SAFETY: By this function's contract; dropping the set waits for this handler.
        let (handler, _, index) = unsafe { Self::member(kp) };
        // SAFETY: As in `pre`, after the instruction: `regs` and `kp` are valid during the call.
        let cx = unsafe { Context::<Post>::new(regs, kp, index, false) };
        handler.post(&cx);
    }

    /// # Safety
    ///
    /// Only for the `pre_handler` of a member of a `KprobeSet<H>`, at a call of
    /// ftrace's.
    #[inline]
    unsafe extern "C" fn both(kp: *mut bindings::kprobe, regs: *mut bindings::pt_regs) -> c_int {
        // SAFETY: By this function's contract, which is that of `pre` and of `post` as well.
        unsafe {
            if H::HAS_PRE && Self::pre(kp, regs) != 0 {
                return 1;
            }
            register::post_at_entry(kp, regs, || Self::post(kp, regs, 0));
        }
        0
    }

    /// # Safety
    ///
    /// `kp` must be that of a member of a `KprobeSet<H>` that is not dropped
    /// while `'a` lasts.
    #[inline(always)]
    unsafe fn member<'a>(kp: *mut bindings::kprobe) -> (&'a H, &'a Atomic<bool>, usize) {
        // SAFETY: By this function's contract. The set's fields that handlers use were initialised
        // before the member was registered; they are borrowed one by one, because `members` may
        // not be initialised yet.
        unsafe {
            let member = container_of!(kp, Member<bindings::kprobe, Self>, probe);
            let set = (*member).set;
            (&(*set).handler, &(*set).skipped, (*member).index)
        }
    }
}

#[pinned_drop]
impl<H: Handler> PinnedDrop for KprobeSet<H> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: This is the only place that unregisters the members.
        unsafe { self.held.leave() };
        // Only a handler with a post method can skip.
        if H::HAS_POST && self.skipped.load(Relaxed) {
            regs::wait_for_skips();
        }
        let missed = self.members.members.iter().map(|m| m.probe.nmissed).sum();
        self.handler.unregistered(missed);
    }
}

/// Kretprobes at several functions, with one handler; [`Context::index`] tells
/// which of them was hit.
///
/// All are registered, or none. Dropping the set unregisters them in one grace
/// period, and waits until no handler runs; never drop one in a handler.
///
/// Since Linux 7.2. C functions: `register_kretprobe()`,
/// `unregister_kretprobes()`.
///
/// # Invariants
///
/// The members are registered until the value is dropped, and point at it.
#[pin_data(PinnedDrop)]
#[must_use = "a set that is dropped is unregistered"]
pub struct KretprobeSet<H: ReturnHandler> {
    #[pin]
    handler: H,
    members: Members<bindings::kretprobe, Self>,
    #[pin]
    held: Held,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: As for `Kretprobe`: a kretprobe belongs to no task, and `H` is `Send`.
unsafe impl<H: ReturnHandler> Send for KretprobeSet<H> {}
// SAFETY: As for `Kretprobe`: `&KretprobeSet` gives out `&H`, which is `Sync`, and reads of the
// members that tolerate the kernel's concurrent writes.
unsafe impl<H: ReturnHandler> Sync for KretprobeSet<H> {}

impl<H: ReturnHandler> KretprobeSet<H> {
    /// Registers `handler` at each of `targets`, each of which follows up to
    /// `max_active` calls in flight; 0 is the kernel's default.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// `EINVAL` without a target, `ENOMEM`, and those of
    /// [`Kretprobe::with_max_active`] for the first target that is refused.
    ///
    /// [`Kretprobe::with_max_active`]: crate::Kretprobe::with_max_active
    #[inline]
    pub fn new<'a, E: 'a>(
        targets: &'a [Target<'a>],
        max_active: u16,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        Self::new_or_tell(targets, max_active, handler, |_, _| ())
    }

    /// As [`KretprobeSet::new`]; `refused` is called with the target that was
    /// refused, from 0, and why, before the others are unregistered.
    #[inline]
    pub fn new_or_tell<'a, E: 'a>(
        targets: &'a [Target<'a>],
        max_active: u16,
        handler: impl PinInit<H, E> + 'a,
        refused: impl FnOnce(usize, Error) + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        Self::register(targets, max_active, handler, refused, true)
    }

    /// As [`KretprobeSet::new_or_tell`], for functions that ftrace does not
    /// know.
    ///
    /// # Safety
    ///
    /// That of [`Kretprobe::new_unchecked`], for each of the targets.
    ///
    /// [`Kretprobe::new_unchecked`]: crate::Kretprobe::new_unchecked
    #[inline]
    pub unsafe fn new_unchecked<'a, E: 'a>(
        targets: &'a [Target<'a>],
        max_active: u16,
        handler: impl PinInit<H, E> + 'a,
        refused: impl FnOnce(usize, Error) + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        Self::register(targets, max_active, handler, refused, false)
    }

    #[inline(always)]
    fn register<'a, E: 'a>(
        targets: &'a [Target<'a>],
        max_active: u16,
        handler: impl PinInit<H, E> + 'a,
        refused: impl FnOnce(usize, Error) + 'a,
        ask: bool,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        kretprobe::check::<H>();
        try_pin_init!(&this in Self {
            // What the handlers use comes before the registration.
            handler <- handler,
            // SAFETY: `this` is pinned, and dropping it unregisters the members first. Until then
            // the handlers use `handler`, which is initialised.
            members: unsafe {
                Members::register(
                    this.as_ptr(),
                    targets,
                    |target, rp: &mut bindings::kretprobe, _| {
                        let callbacks = (Self::entry as Callback, Self::ret as Callback);
                        kretprobe::fill::<H>(rp, target, max_active, callbacks);
                    },
                    None,
                    ask,
                    refused,
                )?
            },
            // SAFETY: The set is pinned, and what `drop` does first is to leave.
            held <- unsafe {
                Members::held(&raw mut (*this.as_ptr()).members, bindings::kretprobe::LEAVE)
            },
            _pin: PhantomPinned,
        })
    }

    /// The handler, and whatever state it keeps.
    #[inline]
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// How many members it has.
    #[expect(clippy::len_without_is_empty, reason = "there is no empty set")]
    #[inline]
    pub fn len(&self) -> usize {
        self.members.members.len()
    }

    /// A member, by the index of its target.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Registered<'_>> {
        let rp = self.members.get(index)?;
        // SAFETY: By the type invariant the member is registered as long as `self` is.
        Some(unsafe { Registered::kretprobe(rp) })
    }

    /// # Safety
    ///
    /// Only for the `entry_handler` of a member of a `KretprobeSet<H>`.
    #[inline]
    unsafe extern "C" fn entry(
        ri: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: `ri` is an instance of a member, by this function's contract.
        let Some(rp) = (unsafe { kretprobe::of_instance(ri) }) else {
            return 1;
        };
        // SAFETY: As above; dropping the set waits for this handler.
        let (handler, index) = unsafe { Self::member(rp) };
        // SAFETY: The kernel passes the registers of the probed code; they and the probe are ours
        // for the time of this call. `ri` is an instance whose `data_size` `fill` has set.
        unsafe { kretprobe::entry(handler, ri, regs, rp, index) }
    }

    /// # Safety
    ///
    /// Only for the `handler` of a member of a `KretprobeSet<H>`.
    #[inline]
    unsafe extern "C" fn ret(
        ri: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: `ri` is an instance of a member, by this function's contract.
        let Some(rp) = (unsafe { kretprobe::of_instance(ri) }) else {
            return 0;
        };
        // SAFETY: As above; dropping the set waits for this handler.
        let (handler, index) = unsafe { Self::member(rp) };
        // SAFETY: The kernel passes the registers at the return; they and the probe are ours for
        // the time of this call. `entry` has written the data, or there is none.
        unsafe { kretprobe::ret(handler, ri, regs, rp, index) }
    }

    /// # Safety
    ///
    /// `rp` must be that of a member of a `KretprobeSet<H>` that is not
    /// dropped while `'a` lasts.
    #[inline(always)]
    unsafe fn member<'a>(rp: *mut bindings::kretprobe) -> (&'a H, usize) {
        // SAFETY: By this function's contract. The handler was initialised before the member was
        // registered; it alone is borrowed, because `members` may not be initialised yet.
        unsafe {
            let member = container_of!(rp, Member<bindings::kretprobe, Self>, probe);
            (&(*(*member).set).handler, (*member).index)
        }
    }
}

#[pinned_drop]
impl<H: ReturnHandler> PinnedDrop for KretprobeSet<H> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: This is the only place that unregisters the members.
        unsafe { self.held.leave() };
        let members = self.members.members.iter();
        let missed = members.map(|m| m.probe.kp.nmissed + probe::dry_calls(m.probe.nmissed));
        self.handler.unregistered(missed.sum());
    }
}
