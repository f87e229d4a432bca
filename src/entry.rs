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
//! # Calls that ftrace leaves out
//!
//! Where a function has several tracers, ftrace calls them in a loop, which has a guard of
//! its own: within the loop, it runs once more, and then not again in the same context of the
//! same task. A call is neither a hit nor a miss if
//!
//! - its function has another tracer beside the entry probe,
//! - a tracer's callback makes the call, within the callback of another tracer, and
//! - these two callbacks are called by the loop, too: each is at a function with several
//!   tracers, or is one that ftrace protects from recursion or calls only where RCU watches.
//!
//! An example: the function tracer is at `f` and `g`, a kprobe at `f` calls `g`, and the
//! handler of an entry probe at `g` calls `g`. Without the tracer, that second call is
//! missed. With it, ftrace leaves the call out. No module is called for it, so the library
//! cannot count it.
//!
//! # Together with others
//!
//! - The module has one `ftrace_ops` for all of them. Where another tracer is at the same function,
//!   also a kprobe of another module's or of this one, the kernel calls both through a list of all
//!   tracers in the system. That works, and costs more; [`Entry::alone`] refuses it.
//! - `kernel.ftrace_enabled=0` is refused (`EBUSY`) while there are entry probes, and they are while
//!   it is 0. Linux 7.3 does not have it any more.
//! - A live patch calls the handler with the arguments, and then its own function. BPF's `fentry`, an
//!   fprobe and the function tracer have each hit, too.
//! - When a module is unloaded, the probes on its functions are gone. They have no hits of a module
//!   that is loaded later, also if it is the same one.
//! - If ftrace has disabled itself after an error, no more hits are promised. Probes can still be
//!   dropped: their handlers are not called any more, which does not depend on ftrace. Only the
//!   module's code has to stay, so its removal blocks forever, and says so. So does an init that
//!   fails because this happens while it attaches probes.

use crate::{
    bindings,
    context::{
        AtEntry,
        Context, //
    },
    event::{
        Arm,
        ArmCall, //
    },
    held::Held,
    registration::may_register,
    target::Target, //
};
use core::{
    ops::Deref,
    slice, //
};
use kernel::{
    container_of,
    prelude::*, //
};

mod hit;
mod ops;
mod pattern;
mod probe;
mod seek;
mod set;
mod table;

pub use probe::Probe;
use seek::Seekers;
pub use set::EntrySet;

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

/// At which functions a probe may be: at any, or only where there is no other tracer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Others,
    Nobody,
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
        Self::register(target, Beside::Others, handler)
    }

    /// As [`Entry::new`], but refuses a function that has another tracer, because both
    /// would cost more per hit. A kprobe at that function costs less then. Other entry
    /// probes of this module do not count as tracers.
    ///
    /// Tracers that attach later are not refused.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// `EEXIST` if ftrace calls another tracer at that function; otherwise those of
    /// [`Entry::new`]. On arm64 without `CONFIG_DYNAMIC_FTRACE_WITH_CALL_OPS`, also if an entry
    /// probe of this module is enabled there.
    ///
    /// # Examples
    ///
    /// The cheapest probe that has the arguments of a function. The two are of different
    /// types, as what their handlers can find out differs:
    ///
    /// ```
    /// use kernel::prelude::*;
    /// use kprobes::{entry, kprobe, AtEntry, Context, Count, Entry, Kprobe, Target};
    ///
    /// struct Reads(Count);
    ///
    /// impl entry::Handler for Reads {
    ///     fn entry(&self, _cx: &Context<'_, AtEntry>) {
    ///         self.0.add(1);
    ///     }
    /// }
    ///
    /// #[vtable]
    /// impl kprobe::Handler for Reads {
    ///     fn pre(&self, _cx: &Context<'_>) {
    ///         self.0.add(1);
    ///     }
    /// }
    ///
    /// enum Probe {
    ///     Entry(Pin<KBox<Entry<Reads>>>),
    ///     Kprobe(Pin<KBox<Kprobe<Reads>>>),
    /// }
    ///
    /// # fn f() -> Result {
    /// let target = Target::symbol(c"vfs_read");
    /// let probe = match KBox::pin_init(Entry::alone(target, Reads(Count::new())), GFP_KERNEL) {
    ///     Ok(probe) => Probe::Entry(probe),
    ///     Err(_) => {
    ///         let probe = Kprobe::new(target, Reads(Count::new()));
    ///         Probe::Kprobe(KBox::pin_init(probe, GFP_KERNEL)?)
    ///     }
    /// };
    /// # Ok(()) }
    /// ```
    pub fn alone<'a, E: 'a>(
        target: Target<'a>,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        Self::register(target, Beside::Nobody, handler)
    }

    fn register<'a, E: 'a>(
        target: Target<'a>,
        beside: Beside,
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
                    Self::attach(probe, &raw const (*this.as_ptr()).handler, target, beside)
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
    unsafe fn attach(
        probe: *mut Probe,
        handler: *const H,
        target: Target<'_>,
        beside: Beside,
    ) -> Result {
        may_register(probe)?;
        let locked = ops::lock()?;
        let mut seekers = Seekers::new(1)?;
        let ip = seekers.seek(target)?;
        drop(seekers);
        if beside == Beside::Nobody && locked.has_other_tracers(ip) {
            return Err(EEXIST);
        }
        // SAFETY: `calls` are for handlers of this type. By the safety requirements, `probe` may be
        // written to.
        unsafe { probe.write(Probe::new(calls::<H>(), handler.cast(), 0, ip)) };
        // SAFETY: The probe is new. By the safety requirements, it stays valid.
        unsafe { locked.attach(&mut [probe.cast_const()], |_| !target.is_disabled()) }
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

// SAFETY: By the type invariant, it is on the list until it is dropped, with an attached probe.
unsafe impl<H: Handler> Arm for Entry<H> {
    const ARM: ArmCall = arm;

    #[inline]
    fn registration(&self) -> *mut bindings::kprobes_registration {
        self.held.registration()
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

/// What probes with a handler of type `H` call.
#[inline(always)]
const fn calls<H: Handler>() -> probe::Calls {
    probe::Calls {
        last: hit::run::<H, true>,
        more: hit::run::<H, false>,
    }
}

/// Calls `with` with the probes of a [`Held`], in an array that it may overwrite.
///
/// # Safety
///
/// `reg` must be that of a [`Held`] with attached probes, and the caller be the only one who uses
/// its array of pointers.
#[inline]
unsafe fn with_probes<T>(
    reg: *mut bindings::kprobes_registration,
    with: impl FnOnce(&mut [*const Probe]) -> T,
) -> T {
    // SAFETY: By the safety requirements, `reg` is a field of a `struct kprobes_held`.
    let held = unsafe { container_of!(reg, bindings::kprobes_held, reg) };
    // SAFETY: By the safety requirements, it is valid.
    let (probes, count) = unsafe { ((*held).probes, (*held).count as usize) };
    match count {
        0 => with(&mut [probes.cast::<Probe>().cast_const()]),
        // SAFETY: By the safety requirements of `Held::enter`, it is an array of so many pointers,
        // which only the caller uses.
        _ => with(unsafe { slice::from_raw_parts_mut(probes.cast(), count) }),
    }
}

/// Enables or disables the probes of a [`Held`], for events.
///
/// # Safety
///
/// To be called, under the lock of the events, as the `ARM` of what has a [`Held`] with attached
/// probes, by who may sleep.
#[inline]
unsafe extern "C" fn arm(reg: *mut bindings::kprobes_registration, on: bool) -> c_int {
    let set = |probes: &mut [*const Probe]| {
        if on {
            // SAFETY: By the safety requirements, they are attached.
            unsafe { ops::enable(probes) }
        } else {
            // SAFETY: As above.
            unsafe { ops::disable(probes) };
            Ok(())
        }
    };
    // SAFETY: By the safety requirements. `leave` uses the array when no event has it any more.
    unsafe { with_probes(reg, set) }.map_or_else(Error::to_errno, |()| 0)
}

/// Detaches the probes of a [`Held`].
///
/// # Safety
///
/// To be called once, as the `leave` of a [`Held`] with attached probes.
#[inline]
unsafe extern "C" fn leave(reg: *mut bindings::kprobes_registration, left: bool) {
    let detach = |probes: &mut [*const Probe]| {
        if left {
            // SAFETY: The function only looks up the address. The probes are valid.
            unsafe {
                let place = (*probes[0]).address().as_usize() as *const c_void;
                bindings::kprobes_tell_left(place, probes.len() as c_int);
            }
        }
        // SAFETY: By the safety requirements, these are attached, and this is the only call for
        // them.
        unsafe { ops::detach(probes) };
    };
    // SAFETY: By the safety requirements, and nobody else uses it then.
    unsafe { with_probes(reg, detach) };
}
