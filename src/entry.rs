// SPDX-License-Identifier: GPL-2.0

//! Entry probes: handlers at the entry of functions, called by ftrace.
//!
//! C header: [`include/linux/ftrace.h`](srctree/include/linux/ftrace.h)
//!
//! An [`Entry`] costs a third of a [`Kprobe`](crate::Kprobe) at the same place, and an [`EntrySet`]
//! may have all functions of the kernel. In return, there is no other place than the entry, and a
//! [`Context`] there has the arguments, but no other registers.
//!
//! Context: probed context, preemption disabled. Handlers must not sleep. They may run on several
//! CPUs at once, and may interrupt any code, as an NMI does, including the holder of a lock. So a
//! handler must not wait for a lock; it uses `try_lock`, atomics or per-CPU counters.
//!
//! Several probes may be at a function. Each has its hits; in which order is not defined.
//!
//! # Hits in handlers
//!
//! In a handler, no entry probe has hits, of this or another module: they are
//! [missed](probe::Registered::missed). But the handler is called for a hit in an interrupt that
//! comes in a handler. Handlers of kprobes and tracepoints make no difference.
//!
//! # Calls that ftrace leaves out
//!
//! Where a function has several tracers, ftrace calls them in a loop, which has a guard of its own:
//! within the loop, it runs once more, and then not again in the same context of the same task. A
//! call is neither a hit nor a miss if
//!
//! - its function has another tracer beside the entry probe,
//! - a tracer's callback makes the call, within the callback of another tracer, and
//! - these two callbacks are called by the loop, too: each is at a function with several tracers,
//!   or is one that ftrace protects from recursion or calls only where RCU watches.
//!
//! An example: the function tracer is at `f` and `g`, a kprobe at `f` calls `g`, and the handler of
//! an entry probe at `g` calls `g`. Without the tracer, that second call is missed. With it, ftrace
//! leaves the call out. No module is called for it, so the library cannot count it.
//!
//! # Together with others
//!
//! - The module has one `ftrace_ops` for all of them. Where another tracer is at the same function,
//!   also a kprobe of another module's or of this one, the kernel calls both through a list of all
//!   tracers in the system. That works, and costs more; [`Options::exclusive`] refuses it.
//! - `kernel.ftrace_enabled=0` is refused (`EBUSY`) while there are entry probes, and they are
//!   while it is 0. Linux 7.3 does not have it any more.
//! - A live patch calls the handler with the arguments, and then its own function. BPF's `fentry`,
//!   an fprobe and the function tracer have each hit, too.
//! - When a module is unloaded, the probes on its functions are gone. They have no hits of a module
//!   that is loaded later, also if it is the same one.
//! - If ftrace has disabled itself after an error, no more hits are promised. Probes can still be
//!   dropped: their handlers are not called any more, which does not depend on ftrace. Only the
//!   module's code has to stay, so its removal blocks forever, and says so. So does an init that
//!   fails because this happens while it attaches probes.
//!
//! # Errors
//!
//! Registering an entry probe fails with:
//!
//! - `ENOENT`: no such symbol, or its module is being unloaded;
//! - `EINVAL`: the target has an offset, or is not the entry of a function that ftrace can trace,
//!   or kprobes refuse it (NOKPROBE);
//! - `EEXIST`: the function has another tracer, see [`Options::exclusive`];
//! - `EBUSY`: `kernel.ftrace_enabled` is 0;
//! - `ENODEV`: the kernel has disabled ftrace after an error;
//! - `EOPNOTSUPP`: the kernel lacks `CONFIG_DYNAMIC_FTRACE_WITH_ARGS`;
//! - `EDEADLK`: the first entry probe of a module is made in the handler of a
//!   [`ModuleWatch`](crate::ModuleWatch), or in a KUnit suite while the module loads: then its init
//!   has to make one.
//!
//! # Examples
//!
//! Count the calls of `vfs_read()`, and of all functions that match `vfs_*`:
//!
//! ```
//! use kernel::prelude::*;
//! use kprobes::{entry, Entry, EntrySet, PerCpuCounts, Target};
//!
//! struct Calls(PerCpuCounts<1>);
//!
//! impl entry::Handler for Calls {
//!     fn entry(&self, _cx: &entry::Context<'_>) {
//!         self.0.inc(0);
//!     }
//! }
//!
//! # fn f() -> Result {
//! let calls = Calls(PerCpuCounts::new()?);
//! let probe = KBox::pin_init(Entry::new(Target::symbol(c"vfs_read"), calls), GFP_KERNEL)?;
//!
//! let calls = Calls(PerCpuCounts::new()?);
//! let set = KBox::pin_init(EntrySet::matching(c"vfs_*", calls), GFP_KERNEL)?;
//! for (index, probe) in set.iter() {
//!     pr_info!("{index}: {}\n", probe.location());
//! }
//! # Ok(()) }
//! ```

use crate::{
    probe::{
        self,
        Mechanism,
        Owner,
        Raw, //
    },
    target::Target, //
};
use kernel::prelude::*;

mod context;
mod hit;
mod ops;
mod pattern;
mod record;
mod resolve;
mod table;

pub use context::{
    AtEntry,
    Context, //
};
use record::{
    Calls,
    Record, //
};
use resolve::Resolver;

probe::kind! {
    /// The kind of an [`Entry`].
    Record, Specific, for<'a> Target<'a> => Plan<'a>,
    |O, target, options| Plan::of::<O>(At::Target(target), options)
}
impl probe::Safe for Kind {}

/// A registered entry probe and its handler. See [`Probe`](probe::Probe) for what it can do.
///
/// C functions: `ftrace_set_filter_ips()`, `register_ftrace_function()`,
/// `unregister_ftrace_function()`.
pub type Entry<H> = probe::Probe<Kind, H>;

/// Entry probes at several functions that share a handler. See [`Set`](probe::Set) for what it can
/// do.
///
/// Registering and dropping a set costs about as much as one probe.
pub type EntrySet<H> = probe::Set<Kind, H>;

/// How entry probes are registered.
pub type Options = probe::Options<Specific>;

/// The [`Options`] that only entry probes have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Specific {
    exclusive: bool,
}

impl Options {
    /// Refuses a function that has another tracer with `EEXIST`, because both would cost more per
    /// hit. A kprobe at that function costs less then. Other entry probes of this module do not
    /// count as tracers, except on arm64 without `CONFIG_DYNAMIC_FTRACE_WITH_CALL_OPS`.
    ///
    /// Tracers that attach later are not refused.
    #[inline]
    pub const fn exclusive(mut self) -> Self {
        self.specific.exclusive = true;
        self
    }
}

/// Callbacks of an [`Entry`] or an [`EntrySet`].
pub trait Handler: Send + Sync + 'static {
    /// Called before the function runs.
    ///
    /// Context: probed context, preemption disabled.
    fn entry(&self, cx: &Context<'_>);

    /// As [`kprobe::Handler::unregistered`](crate::kprobe::Handler::unregistered).
    fn unregistered(&self, missed: u64) {
        let _ = missed;
    }
}

impl<H: Handler> EntrySet<H> {
    /// Registers `handler` at all functions that match `pattern`: a name with the wildcards `*`,
    /// `?` and `[...]`, or several, separated by commas or white space. `*` alone is all functions,
    /// some tens of thousands.
    ///
    /// The kernel decides what matches: the functions that ftrace can trace, also of modules, and
    /// all of those that have the same name. Their indices are in the order of their addresses;
    /// [`iter`](probe::Set::iter) has the names. Functions of a module that is being unloaded may
    /// be among them. Their probes [are gone](probe::Registered::is_gone).
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// `EINVAL` if a pattern cannot be one, `ENOENT` if nothing matches it; one log line has its
    /// index. `EINVAL` if all that matches is being unloaded, those of [entry
    /// probes](crate::entry#errors), and `EOPNOTSUPP` if this kernel cannot be asked what matches.
    #[inline]
    pub fn matching<'a, E: 'a>(
        pattern: &'a CStr,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        Self::matching_with_options(pattern, Options::default(), handler)
    }

    /// As [`matching`](EntrySet::matching), with [`Options`].
    #[inline]
    pub fn matching_with_options<'a, E: 'a>(
        pattern: &'a CStr,
        options: Options,
        handler: impl PinInit<H, E> + 'a,
    ) -> impl PinInit<Self, Error> + 'a
    where
        Error: From<E>,
    {
        let find = move |locked: &ops::Locked| {
            let (ips, unloaded) = loop {
                let ips = pattern::functions(pattern, locked)?;
                if let Some(unloaded) = locked.unloaded(&ips)? {
                    break (ips, unloaded);
                }
            };
            let count = ips.len();
            let plan = move |index: usize| {
                let ip = ips[index];
                let gone = unloaded.binary_search(&ip).is_ok();
                Plan::of::<probe::Member<Kind, H>>(At::Matched { ip, gone }, options)
            };
            Ok((count, plan))
        };
        Self::register(find, options.partial, handler)
    }
}

/// How an entry probe is registered.
#[doc(hidden)]
pub struct Plan<'a> {
    at: At<'a>,
    options: Options,
    calls: &'static Calls,
}

/// Where an entry probe is registered.
enum At<'a> {
    Target(Target<'a>),
    /// At the ftrace call at `ip`, which ftrace has found.
    Matched {
        ip: usize,
        gone: bool,
    },
}

impl<'a> Plan<'a> {
    #[inline(always)]
    fn of<O: Owner<Record, Handler: Handler>>(at: At<'a>, options: Options) -> Self {
        Self {
            at,
            options,
            calls: const {
                &Calls {
                    last: hit::run::<O, true>,
                    more: hit::run::<O, false>,
                }
            },
        }
    }
}

// SAFETY: The methods do as they say: `attach` registers all probes or none, and detaching waits
// for their handlers.
unsafe impl Raw for Record {
    type Plan<'a> = Plan<'a>;
    type Guard = ops::Locked;

    #[inline]
    fn lock() -> Result<ops::Locked> {
        ops::lock()
    }

    #[inline]
    unsafe fn register<'a, K: probe::Kind<Raw = Self>>(
        locked: ops::Locked,
        probes: &mut [*mut Self],
        plan: impl Fn(*mut Self) -> Plan<'a>,
        mut refused: impl FnMut(*mut Self, Error) -> Result,
    ) -> Result<usize> {
        let mut enabled = true;
        let mut exclusive = false;
        let mut resolver = Resolver::new(probes.len())?;
        let mut found = 0;
        for i in 0..probes.len() {
            let probe = probes[i];
            let Plan { at, options, calls } = plan(probe);
            enabled = !options.disabled;
            exclusive = options.specific.exclusive;
            let resolved = match at {
                At::Target(target) => resolver.resolve(target).map(|ip| (ip, false)),
                At::Matched { ip, gone } => Ok((ip, gone)),
            };
            match resolved {
                Ok((ip, gone)) => {
                    // SAFETY: By the safety requirements, `probe` is valid for writing, and the
                    // callbacks are for it.
                    unsafe { probe.write(Record::new(calls, ip)) };
                    if gone {
                        // SAFETY: It has just been initialised.
                        unsafe { (*probe).mark_gone() };
                    }
                    probes.swap(found, i);
                    found += 1;
                }
                Err(error) => refused(probe, error)?,
            }
        }
        drop(resolver);

        let mut i = 0;
        while exclusive && i < found {
            // SAFETY: It has been initialised above.
            if locked.has_other_tracers(unsafe { (*probes[i]).ip() }) {
                refused(probes[i], EEXIST)?;
                found -= 1;
                probes.swap(i, found);
            } else {
                i += 1;
            }
        }
        if found > 0 {
            // SAFETY: These are new. By the safety requirements, they stay valid.
            unsafe { locked.attach(&probes[..found], enabled)? };
        }
        Ok(found)
    }

    #[inline]
    unsafe fn unregister(probes: &[*mut Self]) {
        // SAFETY: By the safety requirements, these are attached.
        unsafe { ops::detach(probes) };
    }

    #[inline]
    unsafe fn enable(probes: &[*mut Self]) -> Result {
        // SAFETY: By the safety requirements, these are attached, and the caller may sleep.
        unsafe { ops::enable(probes) }
    }

    #[inline]
    unsafe fn disable(probes: &[*mut Self]) -> Result {
        // SAFETY: As above.
        unsafe { ops::disable(probes) };
        Ok(())
    }

    #[inline]
    unsafe fn address(this: *const Self) -> usize {
        // SAFETY: By the safety requirements, it is registered. So below.
        unsafe { (*this).ip() }
    }

    #[inline]
    unsafe fn missed(this: *const Self) -> u64 {
        // SAFETY: As above.
        unsafe { (*this).missed() }
    }

    #[inline]
    unsafe fn mechanism(_this: *const Self) -> Mechanism {
        Mechanism::Entry
    }

    #[inline]
    unsafe fn is_enabled(this: *const Self) -> bool {
        // SAFETY: As above.
        unsafe { (*this).is_enabled() }
    }

    #[inline]
    unsafe fn is_gone(this: *const Self) -> bool {
        // SAFETY: As above.
        unsafe { (*this).is_gone() }
    }
}
