// SPDX-License-Identifier: GPL-2.0

//! Entry probes: handlers at the entry of functions, called by ftrace.
//!
//! C header: [`include/linux/ftrace.h`](srctree/include/linux/ftrace.h)
//!
//! A hit of an [`Entry`] costs a third as much as that of a [`Kprobe`](crate::Kprobe) at the same
//! function, and an [`EntrySet`] can probe all functions of the kernel. The [`Context`] of a
//! handler has the arguments and the stack pointer, but no other registers.
//!
//! Context: that of the probed code, preemption disabled. Handlers must not sleep, and must not
//! wait for locks, see [`crate::kprobe`]. They may run on several CPUs at once.
//!
//! A function may have several entry probes. Their handlers run in an undefined order.
//!
//! # Hits in handlers
//!
//! A call of the probed function from the handler of any entry probe, of this or another module, is
//! [missed](probe::Registered::missed), unless it is made in an interrupt that arrived during that
//! handler. Calls from the handlers of kprobes and tracepoints are hits.
//!
//! # Calls that ftrace leaves out
//!
//! If a function has several tracers (users of ftrace with an `ftrace_ops`: entry probes, fprobes,
//! the function tracer and, on x86-64, kprobes), ftrace enters a recursion guard before it calls
//! them. It does the same for a single tracer whose `ftrace_ops` asks for recursion protection or
//! an RCU check. In one context (task, softirq, interrupt, NMI), the guard can be entered twice,
//! one inside the other. If a function with several tracers is called while the guard is already
//! entered twice, ftrace calls none of its tracers: for an entry probe, the call is neither a hit
//! nor a miss.
//!
//! Example, on x86-64: the function tracer is at `f` and `g`, the handler of a kprobe at `f` calls
//! `g`, and the handler of an entry probe at `g` calls `g` again. For this second call of `g`,
//! ftrace calls no tracer. Without the function tracer, it is missed.
//!
//! # Interaction with other tracers and modules
//!
//! - All entry probes of a module share one `ftrace_ops`. If a function has another tracer, such as
//!   a kprobe, the kernel calls both through its list of all tracers, which is slower.
//!   [`Options::exclusive`] refuses such functions.
//! - Linux 7.2 refuses `kernel.ftrace_enabled=0` with `EBUSY` while an entry probe is enabled. If
//!   it is 0, enabling an entry probe fails with `EBUSY`. From Linux 7.3 on, it cannot be set to 0.
//! - If a function is live-patched, the handler runs before the replacement function and sees its
//!   arguments. At a function with an entry probe, BPF's `fentry`, fprobes and the function tracer
//!   see each call, except [calls that ftrace leaves out](#calls-that-ftrace-leaves-out).
//! - When a module is unloaded, the probes on its functions are gone. They stay gone if the module
//!   is loaded again, unless they are [pending](crate::Pending).
//! - If ftrace has disabled itself after an error, hits may be lost. Probes can still be dropped;
//!   after that, their handlers are not called. But ftrace may still call the module's code, so
//!   unloading the module logs an error and blocks forever. A failed init of the module does the
//!   same if ftrace disables itself while probes are attached.
//!
//! # Errors
//!
//! Registering an entry probe fails with:
//!
//! - `ENOENT`: no such symbol, or its module is being unloaded;
//! - `EINVAL`: the target has an offset, or is not the entry of a function that ftrace can trace,
//!   or is on the kprobe blacklist (NOKPROBE);
//! - `EEXIST`: the function has another tracer, see [`Options::exclusive`];
//! - `EBUSY`: `kernel.ftrace_enabled` is 0 (Linux 7.2);
//! - `ENODEV`: the kernel has disabled ftrace after an error;
//! - `EOPNOTSUPP`: the kernel lacks `CONFIG_DYNAMIC_FTRACE_WITH_ARGS`;
//! - `EDEADLK`: the module creates its first entry probe in the handler of a
//!   [`ModuleWatch`](crate::ModuleWatch), or in a KUnit suite. To avoid that, create one in the
//!   module's init.
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
//! #[vtable]
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

use crate::common::*;

mod context;
mod hit;
mod ops;
mod pattern;
mod record;
mod resolve;
mod table;

pub use context::AtEntry;
pub use context::Context;
use record::Calls;
use record::Record;
use resolve::Resolver;

probe::kind! {
    /// The kind of an [`Entry`].
    Kind(c"entry probe", probe::NO_FUNCTION): Safe = Record, Specific,
    for<'a> Target<'a> => Plan<'a>,
    |O, target, options| Plan::of::<O>(At::Target(target), options)
}

/// A registered entry probe and its handler. See [`Probe`] for its methods.
///
/// C functions: `ftrace_set_filter_ips()`, `register_ftrace_function()`,
/// `unregister_ftrace_function()`.
pub type Entry<H> = probe::Probe<Kind, H>;

/// Entry probes at several functions that share a handler. See [`Set`] for its methods.
///
/// Registering or dropping a set takes about as long as one probe.
pub type EntrySet<H> = probe::Set<Kind, H>;

/// The [`Options`] that only entry probes have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Specific {
    exclusive: bool,
}

impl Options {
    /// Registering fails with `EEXIST` if the function has another tracer, which would slow down
    /// each hit. At a function that already has a kprobe, a second kprobe costs less than an entry
    /// probe.
    ///
    /// Entry probes of this module do not count as another tracer, except on arm64 and riscv64
    /// without `CONFIG_DYNAMIC_FTRACE_WITH_CALL_OPS`. Tracers that attach later are not refused.
    #[inline]
    pub const fn exclusive(mut self) -> Self {
        self.specific.exclusive = true;
        self
    }
}

/// Callbacks of an [`Entry`] or an [`EntrySet`].
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// Called before the function runs.
    ///
    /// Context: probed context, preemption disabled.
    fn entry(&self, cx: &Context<'_>);

    /// As [`kprobe::Handler::unregistered`](crate::kprobe::Handler::unregistered).
    fn unregistered(&self, _missed: u64) {}
}

impl<H: Handler> EntrySet<H> {
    probe::constructor! {
        /// Registers `handler` at all functions that match `pattern`: a name with the wildcards
        /// `*`, `?` and `[...]`, or several names, separated by commas or white space. `*` matches
        /// all functions, some tens of thousands.
        ///
        /// As in `set_ftrace_filter`, a pattern matches the functions that ftrace can trace, in the
        /// kernel and in modules, including all functions of the same name. Their indices are in
        /// the order of their addresses; [`iter`](probe::Set::iter) has their names. Probes of
        /// functions that are being unloaded are [gone](probe::Registered::is_gone).
        ///
        /// Context: process context; it sleeps.
        ///
        /// Errors: `EINVAL` if a pattern is malformed, `ENOENT` if it matches no function; one log
        /// line has the index of that pattern in the list, from 0. `EINVAL` if all matches are
        /// being unloaded; `EOPNOTSUPP` if the layout of the kernel's filters is unknown; those of
        /// [entry probes](crate::entry#errors).
        #[inline]
        pub fn matching<'a>(handler, pattern: &'a CStr) {
            Self::matching_with_options(pattern, Options::default(), handler)
        }
    }

    probe::constructor! {
        /// As [`matching`](EntrySet::matching), with [`Options`].
        #[inline]
        pub fn matching_with_options<'a>(handler, pattern: &'a CStr, options: Options) {
            let find = move |locked: &ops::Locked| {
                let (ips, unloaded) = loop {
                    let ips = pattern::functions(pattern, locked, !options.quiet)?;
                    match locked.unloaded(&ips) {
                        Err(EAGAIN) => {}
                        unloaded => break (ips, unloaded?),
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
            let at = Target::symbol(pattern);
            let explain = move |n, error| probe::refused::<Kind>(at, options, n, error);
            Self::register(find, options.partial, explain, handler)
        }
    }
}

/// The parameters of the registration of an entry probe.
#[doc(hidden)]
pub struct Plan<'a> {
    at: At<'a>,
    options: Options,
    calls: &'static Calls,
}

/// The place of an entry probe.
enum At<'a> {
    Target(Target<'a>),
    /// The ftrace call at `ip`, which matched a pattern.
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

macro_rules! of_record {
    ($($name:ident = $method:ident -> $type:ty;)*) => {
        $(
            #[inline]
            unsafe fn $name(this: *const Self) -> $type {
                // SAFETY: By the safety requirements, `this` is registered.
                unsafe { (*this).$method() }
            }
        )*
    };
}

// SAFETY: `attach` registers all probes or none, and `detach` waits for running handlers.
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
                    // SAFETY: By the safety requirements, `probe` is valid for writing, and `calls`
                    // are the callbacks of its owner.
                    unsafe { probe.write(Record::new(calls, ip)) };
                    if gone {
                        // SAFETY: `probe` was initialised above.
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
            // SAFETY: `probes[i]` was initialised above.
            if locked.has_other_tracers(unsafe { (*probes[i]).ip() }) {
                refused(probes[i], EEXIST)?;
                found -= 1;
                probes.swap(i, found);
            } else {
                i += 1;
            }
        }
        if found > 0 {
            // SAFETY: The probes are new. By the safety requirements, they stay valid.
            unsafe { locked.attach(&probes[..found], enabled)? };
        }
        Ok(found)
    }

    #[inline]
    unsafe fn unregister(probes: &[*mut Self]) {
        // SAFETY: By the safety requirements, `probes` are attached.
        unsafe { ops::Locked::new().detach(probes) };
    }

    #[inline]
    unsafe fn arm(probes: &[*mut Self], on: bool) -> Result {
        // SAFETY: By the safety requirements, `probes` are attached, and the caller may sleep.
        unsafe { ops::arm(probes, on) }
    }

    of_record! {
        address = ip -> usize;
        missed = missed -> u64;
        is_enabled = is_enabled -> bool;
        is_gone = is_gone -> bool;
    }

    #[inline]
    unsafe fn mechanism(_this: *const Self) -> Mechanism {
        Mechanism::Entry
    }
}
