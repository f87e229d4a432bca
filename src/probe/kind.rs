// SPDX-License-Identifier: GPL-2.0

//! Traits for what differs between the kinds of probes.

use crate::kernel_ext::symbol::{Address, Location};
use crate::prelude::*;
use crate::probe::{
    Mechanism,
    Named, //
};

/// A kind of probe, for example [`kprobe::Kind`](crate::kprobe::Kind). The library implements it.
///
/// Each kind has a module with its `Kind`, `Handler`, `Options` and `Context`. Each implementation
/// of a `Handler` has `#[vtable]`:
///
/// | module | methods of its `Handler`, besides `unregistered(&self, missed)` | types |
/// |---|---|---|
/// | [`kprobe`](crate::kprobe) | `pre(&self, &Context)`, `post(&self, &PostContext)` | |
/// | [`kretprobe`](crate::kretprobe) | `entry(&self, &Context) -> Option<Data>`, `ret(&self, &ReturnContext, Data)` | `type Data` |
/// | [`timed`](crate::timed) | `entry(&self, &Context) -> Option<Data>`, `ret(&self, &ReturnContext, Data, ns: u64)` | `type Data` |
/// | [`entry`](crate::entry) | `entry(&self, &Context)` | |
/// | [`tracepoint`](crate::tracepoint) | `hit(&self, &Context, Args)` | `type Args` |
/// | [`overrides`](crate::overrides) | `entry(&self, &Context) -> Option<usize>` | |
/// | [`redirect`](crate::redirect) | `pre(&self, &Context) -> Option<Address>` | |
///
/// All kinds have the constructors `new(target, handler)` and
/// `with_options(target, options, handler)`; those of a set take `&[target, ...]`.
///
/// # Safety
///
/// When `unregister` returns, no callback must be running.
pub unsafe trait Kind: Sized + 'static {
    /// The target of a probe: a [`Target`](crate::Target), such as `Target::symbol(c"vfs_read")`,
    /// or the name of a tracepoint, such as `c"sched_switch"`.
    type Target<'a>: Named<'a>;
    /// The [`Options`] that only this kind has.
    type Specific: Copy + Default + Send;
    /// The C struct of a registered probe.
    type Raw: Raw;
    #[doc(hidden)]
    const NAME: &'static CStr;
    /// What `EINVAL` means.
    #[doc(hidden)]
    const INVALID: &'static CStr;

    /// Unregisters all of `probes` together, and waits for running callbacks.
    ///
    /// # Safety
    ///
    /// All of `probes` must be registered probes of this kind.
    #[doc(hidden)]
    #[inline(always)]
    unsafe fn unregister(probes: &[*mut Self::Raw]) {
        // SAFETY: By the safety requirements, the probes are registered.
        unsafe { Self::Raw::unregister(probes) };
    }
}

/// What `EINVAL` means at any place, and at that of a function.
pub(crate) const NO_PLACE: &CStr = c"this place cannot be probed: NOKPROBE, noinstr, or no code";
pub(crate) const NO_FUNCTION: &CStr = c"not the entry of a function that ftrace knows, or NOKPROBE";

/// A kind whose probes do not change the execution of the probed code.
pub trait Safe: Kind {}

/// A handler of probes of the kind `K`. The library implements this for each type with the
/// `Handler` trait of that kind, for example [`kprobe::Handler`](crate::kprobe::Handler).
///
/// # Safety
///
/// `plan` must return callbacks for probes of `O`.
pub unsafe trait Handles<K: Kind>: Send + Sync + 'static {
    /// Returns the plan of a probe, with callbacks for probes of `O`.
    #[doc(hidden)]
    fn plan<'a: 'a, O: Owner<K::Raw, Handler = Self>>(
        target: K::Target<'a>,
        options: Options<K::Specific>,
    ) -> <K::Raw as Raw>::Plan<'a>;

    /// Called once, after the probes are unregistered and all handlers have finished.
    #[doc(hidden)]
    fn unregistered(&self, missed: u64);
}

/// Options of a registration. `S` has those of one kind, for example
/// [`max_active`](crate::kretprobe::Options::max_active).
///
/// # Examples
///
/// ```
/// use kprobes::kretprobe;
///
/// let options = kretprobe::Options::default().max_active(64).disabled();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<S = ()> {
    pub(crate) disabled: bool,
    pub(crate) partial: bool,
    pub(crate) quiet: bool,
    pub(crate) name: Option<&'static CStr>,
    /// The index of the probe in a [`Pending`](crate::Pending).
    pub(crate) pending: Option<u32>,
    pub(crate) specific: S,
}

impl<S: Copy> Options<S> {
    /// Registers the probes disabled. They have no hits, and cost nothing, until
    /// [`enable`](super::Registered::enable) or an [event](crate::event::Armed) enables them.
    pub const fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// Lets a set skip targets that are refused; [`refused`](super::Set::refused) lists them. If
    /// all are refused, the set fails with the first error. A single probe ignores this option.
    pub const fn partial(mut self) -> Self {
        self.partial = true;
        self
    }

    /// Does not log that a target is refused, for a module that expects it. The error's words are
    /// those of [`Target::reason`](crate::Target::reason). A [`Pending`](crate::Pending) still logs
    /// what is refused later.
    pub const fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }
}

/// The C struct of a registered probe, and its operations.
///
/// # Safety
///
/// The methods must be sound for callers that meet their safety requirements.
#[allow(
    clippy::missing_safety_doc,
    reason = "`address` has that of the methods below it"
)]
pub unsafe trait Raw: Sized {
    /// The target, callbacks and options of a probe.
    type Plan<'a>;
    /// A lock that is held from resolving the targets until the probes are registered.
    type Guard;

    fn lock() -> Result<Self::Guard>;

    /// Registers and enables `probes` according to `plan`. Moves the registered ones to the front
    /// of the slice, and returns their number.
    ///
    /// Calls `refused` for each of the others. If `refused` returns an error, all of `probes` are
    /// unregistered and this error is returned. `K` is their kind.
    ///
    /// # Safety
    ///
    /// The probes must be valid for writes, pinned, and not registered. They, and all that the
    /// callbacks use, must stay valid until they are unregistered. The caller must have called
    /// [`may_register`](super::may_register).
    unsafe fn register<'a, K: Kind<Raw = Self>>(
        guard: Self::Guard,
        probes: &mut [*mut Self],
        plan: impl Fn(*mut Self) -> Self::Plan<'a>,
        refused: impl FnMut(*mut Self, Error) -> Result,
    ) -> Result<usize>;

    /// As [`Kind::unregister`].
    ///
    /// # Safety
    ///
    /// That of [`Kind::unregister`].
    unsafe fn unregister(probes: &[*mut Self]);

    /// Enables or disables `probes`, except those that are gone. If one fails, restores those
    /// before it.
    ///
    /// Errors: that of the probe that fails; `EINVAL` for enabling probes that are all gone.
    ///
    /// # Safety
    ///
    /// All of `probes` must be registered, and the caller may sleep.
    unsafe fn arm(probes: &[*mut Self], on: bool) -> Result;

    /// Returns the address of a probe, or 0 if it has none.
    ///
    /// # Safety
    ///
    /// `this` must be registered. This holds for all methods below.
    unsafe fn address(this: *const Self) -> usize;

    unsafe fn location(this: *const Self) -> Location {
        // SAFETY: By the safety requirements, `this` is registered.
        Address::new(unsafe { Self::address(this) }).location()
    }

    /// `this` may also be an unregistered probe.
    unsafe fn missed(this: *const Self) -> u64;

    unsafe fn mechanism(this: *const Self) -> Mechanism;

    unsafe fn is_enabled(this: *const Self) -> bool;

    unsafe fn is_gone(this: *const Self) -> bool;

    /// Returns the name of a tracepoint, or null for a probe with an address.
    unsafe fn name(_this: *const Self) -> *const c_char {
        core::ptr::null()
    }
}

/// A type that contains the C struct of a probe: a [`Probe`](super::Probe), or a member of a set.
///
/// # Safety
///
/// [`Owner::handler`] must be sound for every caller that meets its safety requirements.
pub unsafe trait Owner<R> {
    type Handler;

    /// Returns the handler for the C struct that the kernel passes to a callback.
    ///
    /// # Safety
    ///
    /// `raw` must be a probe of such an owner, and stay registered for the duration of `'a`.
    unsafe fn handler<'a>(raw: *mut R) -> &'a Self::Handler;
}

/// Returns `callback` if the handler has the method that it calls.
pub(crate) const fn optional<T: Copy>(has: bool, callback: T) -> Option<T> {
    if has {
        Some(callback)
    } else {
        None
    }
}

/// Declares `Kind` and `Options` of a module, and implements [`Handles`] for its `Handler`s. `$new`
/// returns the plan, `$name` and `$invalid` are its words in the log.
macro_rules! kind {
    (
        $(#[$doc:meta])*
        Kind($name:expr, $invalid:expr) $(: $safe:ident)? = $raw:ty, $specific:ty,
        for<$a:lifetime> $target:ty => $plan:ty,
        |$owner:ident, $at:ident, $options:ident| $new:expr
        $(, $unregister:item)?
    ) => {
        $(#[$doc])*
        pub enum Kind {}

        $(impl crate::probe::$safe for Kind {})?

        /// Options of a registration.
        pub type Options = crate::probe::Options<$specific>;

        // SAFETY: `unregister` waits for running callbacks.
        unsafe impl crate::probe::Kind for Kind {
            type Target<$a> = $target;
            type Specific = $specific;
            type Raw = $raw;
            const NAME: &'static CStr = $name;
            const INVALID: &'static CStr = $invalid;
            $(
                #[inline(always)]
                $unregister
            )?
        }

        // SAFETY: `$new` returns callbacks for probes of `$owner`.
        unsafe impl<H: Handler> crate::probe::Handles<Kind> for H {
            #[inline(always)]
            fn plan<$a: $a, $owner: crate::probe::Owner<$raw, Handler = H>>(
                $at: $target,
                $options: crate::probe::Options<$specific>,
            ) -> $plan {
                $new
            }

            fn unregistered(&self, missed: u64) {
                Handler::unregistered(self, missed);
            }
        }
    };
}
pub(crate) use kind;

/// Declares a constructor whose last argument is an initialiser of the handler.
macro_rules! constructor {
    (
        $(#[$meta:meta])*
        $vis:vis $([$unsafe:ident])? fn $name:ident<$a:lifetime>
            ($handler:ident $(, $arg:ident: $type:ty)* $(,)?) $body:block
    ) => {
        $(#[$meta])*
        $vis $($unsafe)? fn $name<$a, E: $a>(
            $($arg: $type,)*
            $handler: impl PinInit<H, E> + $a,
        ) -> impl PinInit<Self, Error> + $a
        where
            Error: From<E>,
        $body
    };
}
pub(crate) use constructor;

/// Declares the constructors `new` and `with_options`, which register a handler at `$target`.
macro_rules! constructors {
    (
        $(#[$doc:meta])*
        $([$unsafe:ident])? for<$a:lifetime> $target:ty, $options:ty, $register:ident
    ) => {
        crate::probe::constructor! {
            $(#[$doc])*
            pub $([$unsafe])? fn new<$a>(handler, target: $target) {
                Self::$register(target, Default::default(), handler)
            }
        }

        crate::probe::constructor! {
            /// As `new`, with [`Options`](crate::probe::Options).
            ///
            $(#[$doc])*
            pub $([$unsafe])? fn with_options<$a>(handler, target: $target, options: $options) {
                Self::$register(target, options, handler)
            }
        }
    };
}
pub(crate) use constructors;
