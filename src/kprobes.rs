// SPDX-License-Identifier: GPL-2.0

//! Kprobes for Rust kernel modules.
//!
//! A probe is a value: creating it registers the probe, and dropping it unregisters the probe and
//! waits until no CPU runs its handler. A handler is a type that the module defines. Its methods
//! take `&self`, because several CPUs can run them at the same time.
//!
//! [`guide`] shows how to write a module, from choosing a kind of probe to handling errors.
//!
//! Requires Linux 7.2 or later.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! # Vocabulary
//!
//! | word | meaning |
//! |---|---|
//! | target | What is probed: an instruction ([`Target`]), or a tracepoint. |
//! | handler | A type whose methods run when a CPU reaches the target. |
//! | probe | A registered handler, of one of the [kinds](guide#1-choose-a-kind-of-probe). |
//! | entry probe | A probe that ftrace calls at the entry of a function ([`Entry`]). |
//! | return probe | A probe at the return of a function ([`Kretprobe`], [`Timed`]). |
//! | set | Probes at several targets that share a handler. |
//! | hit | A CPU reaches the target, and the handler is called. For a return probe, one call is one hit. |
//! | miss | A CPU reaches the target, but the handler is skipped. `missed()` counts these. |
//! | disabled | A probe that is registered, but whose handler is not called until it is enabled. |
//! | arm, disarm | To change the kernel's code so that it calls the handler; to undo that. |
//! | mechanism | How the kernel calls the handler, for example by ftrace or a breakpoint. |
//! | optimized | A kprobe whose breakpoint the kernel replaced by a jump. |
//! | gone | A probe whose target was unloaded with its module, or freed with the module's init code. |
//! | pending | A probe that waits for the module of its target, and is registered at each load of it. |
//! | listener | A user of a trace event: a tracefs instance, a trigger, perf or a BPF program. |
//!
//! # Contexts
//!
//! | what | context | may sleep |
//! |---|---|---|
//! | creating, enabling, disabling or dropping a probe | process context | yes |
//! | [`tracepoint::Handler::hit`] | that of the tracepoint; it may be preempted | no |
//! | handlers of other kinds | that of the probed code, preemption disabled, interrupts possibly too | no |
//! | `emit()` of a [`trace_event!`] | any of these handlers | no |
//! | [`unregistered`](kprobe::Handler::unregistered) | process context, during the drop | yes |
//! | [`module::Handler`] | process context | yes |
//!
//! # What is checked
//!
//! - These do not compile: a handler that is not `Sync`, a [`Context`] that outlives the call of
//!   the handler, return-probe data with a destructor, moving a registered probe, and reading the
//!   result before the return. `tests/compile_fail` has a program for each of these, and more.
//! - `register_kprobe()` and `unregister_kprobe()` do not return an error if they fail to arm or
//!   disarm the kprobe. The library checks. If arming fails, the constructor fails. If disarming
//!   fails, the probe is never freed, and the drop blocks until reboot.
//! - Everything that can break the probed code is `unsafe`. Its documentation says what the caller
//!   must ensure: [`Context::set_register`], [`Context::set_arg0`], [`Context::set_ret`], the
//!   constructors of [`Override`] and [`Redirect`], and the option
//!   [`any_function`](kretprobe::Options::any_function).
//!
//! # Where not to drop a probe
//!
//! Do not drop a probe in a handler, under a spinlock, with interrupts or preemption disabled, or
//! in an RCU read-side critical section. Dropping it must wait for running handlers, and cannot
//! wait there. Such a drop logs an error and calls `BUG()` before anything is freed. `BUG()` kills
//! the task. In an interrupt, or with `panic_on_oops`, the kernel panics.
//!
//! The check reads `preempt_count()`, the interrupt flag, and the task's RCU nesting depth and
//! `trace_recursion`. It needs `CONFIG_PREEMPT_COUNT`, without which the library does not compile.
//! From Linux 7.3 on, that option is always set on the architectures that the library supports.
//!
//! Creating, enabling or disabling a probe may also sleep. In the contexts listed above, this fails
//! with `EDEADLK`.
//!
//! # Where not to create a probe
//!
//! Creating a probe on the stack (`stack_pin_init!`) fails with `EINVAL`. A Rust panic calls
//! `BUG()`, which kills the task and frees its stack without dropping the values on it. The probe
//! would stay registered in freed memory.
//!
//! # Probes that are never dropped
//!
//! A probe is never dropped if it is in a static, in a reference cycle, or was passed to
//! `core::mem::forget()`. It stays registered until module exit, or until the module's init fails.
//! The library then unregisters it before the code of the module `NAME` is freed, and logs a line:
//!
//! ```text
//! NAME: 1 probe at vfs_read+0x0 was never dropped; unregistering it
//! ```
//!
//! The probe's memory stays allocated, and `unregistered()` is not called.
//!
//! # What cannot be prevented
//!
//! - A handler that sleeps. To RCU, a handler that sleeps has finished, so a drop does not wait for
//!   it. Then the probe or, after an unload, the module's code is freed while the handler still
//!   runs. `CONFIG_DEBUG_ATOMIC_SLEEP` reports such a sleep.
//! - `MaybeUninit::pin_init(Kprobe::new(...))` and `Opaque::pin_init(...)`, which the trait
//!   `Wrapper` of the `pin_init` crate provides. Safe code can then free the memory without
//!   dropping the probe. No type that is initialised in place can prevent that.
//!
//! # The path of a hit
//!
//! For readers of the source. Hits of single probes and of probes in a set take the same path:
//! `Owner::handler` returns the handler to which the C struct in the callback belongs.
//!
//! ```text
//!  ftrace call, jump, breakpoint   tracepoint     ftrace call           the kernel
//!        |              |              |               |
//!  struct kprobe  struct kretprobe     |      the module's ftrace_ops   entry/entry.c
//!        |              |              |        guard, table            entry/hit.rs
//!        |              |              |               |
//!    Callbacks      Callbacks        hit()           run()              kprobe.rs and others
//!        +--------------+------+-------+---------------+
//!                              v
//!               Owner::handler(C struct), Context::new                  probe/, context.rs
//!                              v
//!          Handler::{pre, post, entry, ret, hit}                        the module
//! ```
//!
//! # Examples
//!
//! Count the calls of `kernel_clone()`:
//!
//! ```
//! use kernel::prelude::*;
//! use kprobes::{kprobe, Count, Kprobe, Target};
//!
//! struct Clones(Count);
//!
//! #[vtable]
//! impl kprobe::Handler for Clones {
//!     fn pre(&self, _cx: &kprobe::Context<'_>) {
//!         self.0.add(1);
//!     }
//! }
//!
//! # fn f() -> Result {
//! let clones = Kprobe::new(Target::symbol(c"kernel_clone"), Clones(Count::new()));
//! let probe = KBox::pin_init(clones, GFP_KERNEL)?;
//! pr_info!("{} calls\n", probe.handler().0.get());
//! # Ok(()) }
//! ```

#[cfg(not(CONFIG_PREEMPT_COUNT))]
compile_error!(
    "kprobes needs CONFIG_PREEMPT_COUNT, which CONFIG_PREEMPT_LAZY and CONFIG_PREEMPT select: \
     without it, the drop of a probe in atomic context cannot be detected"
);

// Functions that are not generic are `#[inline]`, so that only the modules that use them contain
// them.
//
// Atomics are those of `kernel::sync::atomic`, except on the path of a hit (`entry/`, `event/`,
// `tracepoint.rs`, `Count`): there, they would call a C helper for each operation, see
// `kernel_ext/count.rs`, and ftrace could trace that.
mod args;
mod bindings;
mod common;
mod context;
mod exec;
mod file;
mod kernel_ext;
mod prelude;
mod short;
mod syscall;
mod target;
mod task;

pub mod collect;
pub mod entry;
pub mod event;
pub mod fields;
#[cfg(doc)]
pub mod guide;
pub mod kprobe;
pub mod kretprobe;
#[doc(hidden)]
pub mod macro_paths;
pub mod module;
pub mod overrides;
pub mod pending;
pub mod probe;
pub mod redirect;
pub mod regs;
pub mod timed;
pub mod tracepoint;

pub use args::*;
pub use collect::Buckets;
pub use collect::CountMap;
pub use collect::Histogram;
pub use collect::HistogramMap;
pub use collect::Map;
pub use collect::Stack;
pub use context::AtCall;
pub use context::Context;
pub use context::Place;
pub use context::Probed;
pub use entry::Entry;
pub use entry::EntrySet;
pub use exec::*;
pub use file::*;
pub use kernel_ext::count::Count;
pub use kernel_ext::display::ByCore;
pub use kernel_ext::nofault;
#[doc(hidden)]
pub use kernel_ext::param;
pub use kernel_ext::param::param;
pub use kernel_ext::param::StringParam;
pub use kernel_ext::percpu::CountsAt;
pub use kernel_ext::percpu::PerCpuCounts;
pub use kernel_ext::ratelimit::RateLimit;
pub use kernel_ext::symbol::Address;
pub use kernel_ext::symbol::Location;
pub use kernel_ext::symbol::Symbol;
pub use kprobe::Kprobe;
pub use kprobe::KprobeSet;
pub use kretprobe::Kretprobe;
pub use kretprobe::KretprobeSet;
pub use module::ModuleWatch;
pub use overrides::Override;
pub use overrides::OverrideSet;
pub use pending::Pending;
pub use probe::Mechanism;
pub use probe::Refusal;
pub use probe::Registered;
pub use redirect::Redirect;
pub use redirect::RedirectSet;
#[doc(hidden)]
pub use short::__short;
#[doc(hidden)]
pub use target::__c_str;
pub use target::Target;
pub use task::Comm;
pub use timed::Timed;
pub use timed::TimedSet;
pub use tracepoint::Tracepoint;
pub use tracepoint::TracepointSet;
