// SPDX-License-Identifier: GPL-2.0

//! Kprobes for Rust kernel modules.
//!
//! A value of a probe type *is* a registered probe: creating it registers the probe, dropping it
//! unregisters the probe and waits for running handlers. Handlers are methods of a type that the
//! module defines. They take `&self`, because the kernel runs them on several CPUs at once.
//!
//! Since Linux 7.2. What to use for what is in [`guide`].
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! # Which kind
//!
//! | where | kind | net instructions, counting per CPU |
//! |---|---|---|
//! | any instruction, with all CPU registers | [`Kprobe`] | 150 and more |
//! | the entry of a function, with its arguments; up to all functions, by a pattern | [`Entry`] | 55 |
//! | entry and return of a function | [`Kretprobe`], [`Timed`] | 400 and more |
//! | what the kernel's developers chose | [`Tracepoint`] | 25 |
//! | the entry of a function, to return in its place | [`Override`] | |
//! | any instruction, to skip it or to continue elsewhere | [`Redirect`] | |
//!
//! # Vocabulary
//!
//! It is the same for every kind, alone and in a set:
//!
//! | what | how |
//! |---|---|
//! | register | `new(target, handler)`, `with_options(target, options, handler)` |
//! | several targets, one handler | [`KprobeSet`], [`EntrySet`], [`KretprobeSet`], [`TimedSet`], [`TracepointSet`], [`OverrideSet`], [`RedirectSet`] |
//! | until its module is loaded | [`Pending`] waits, alone and for several targets |
//! | options | `kind::Options::default()`, with [`disabled`](probe::Options::disabled), [`partial`](probe::Options::partial), [`max_active`](kretprobe::Options::max_active), [`exclusive`](entry::Options::exclusive) |
//! | a handler's moments | `pre` and `post` an instruction, at the `entry` and the return (`ret`) of a function, a `hit` of a tracepoint; `unregistered` at the end |
//! | a handler's context | `kind::Context`, [`kprobe::PostContext`], [`kretprobe::ReturnContext`] |
//! | ask, enable, disable | [`Registered`] |
//!
//! # Contexts
//!
//! | what | context | may sleep |
//! |---|---|---|
//! | creating, enabling, disabling or dropping a probe | process context | yes, it does |
//! | handlers, except those of tracepoints | probed context, preemption disabled, interrupts possibly too | no |
//! | [`tracepoint::Handler::hit`] | that of the tracepoint; it may be preempted | no |
//! | `emit()` of a [`trace_event!`] | any of these handlers | no |
//! | `unregistered()` | process context, in the drop | yes |
//! | [`module::Handler`] | process context | yes |
//!
//! A hit inside another handler can be missed: no handler runs for it, and it is counted, see
//! [`Registered::missed`]. Entry probes and tracepoints count exactly.
//!
//! # The path of a hit
//!
//! A single probe and a member of a set have the same path: `Owner::handler` finds the handler
//! from the C struct.
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
//! # What is checked
//!
//! - A handler that is not `Sync`, a [`Context`] that leaves its handler, kretprobe data with a
//!   destructor, a probe that is moved, and a result before the return do not compile.
//!   `tests/compile_fail` has a program for each of these, and more.
//! - Failures to arm or disarm a probe, which `register_kprobe()` and `unregister_kprobe()` do not
//!   report. If arming fails, `new()` fails. If disarming fails, the probe is never freed.
//! - What changes how probed code runs is `unsafe`, and documents what the caller must ensure:
//!   [`Context::set_register`], [`Context::set_arg0`], [`Context::set_ret`], [`Override`],
//!   [`Redirect`], [`any_function`](kretprobe::Options::any_function).
//!
//! # Probes that are never dropped
//!
//! A probe in a static, behind a reference count that never reaches zero, or passed to
//! `core::mem::forget()`, stays registered as long as the module is loaded. When the module is
//! unloaded, or its init fails, everything that is still registered is unregistered before the
//! module's code is freed, with one line for each:
//!
//! ```text
//! NAME: left registered: 1 at vfs_read+0x0/0x4a0; unregistered now
//! ```
//!
//! Its memory stays allocated, and `unregistered()` is not called.
//!
//! # Where not to drop a probe
//!
//! Dropping a probe waits. It cannot do so in a handler, under a spinlock, with interrupts or
//! preemption disabled, or in an RCU read-side critical section: the memory would be freed while
//! the kernel uses it. A drop there logs a line and calls `BUG()` before anything is freed. That
//! kills the task; in an interrupt or with `panic_on_oops`, it stops the machine.
//!
//! The check reads `preempt_count()`, the interrupt flag, and the task's RCU nesting depth and
//! `trace_recursion`. It needs `CONFIG_PREEMPT_COUNT`: the library does not compile without that.
//! From Linux 7.3 on, x86-64, arm64 and riscv64 always have it.
//!
//! Creating, enabling and disabling a probe wait as well: there they fail with `EDEADLK`.
//!
//! # Where not to create a probe
//!
//! On the stack (`stack_pin_init!`): a task that ends in `BUG()`, as in a Rust panic, drops
//! nothing, but its stack is freed. A probe there fails with `EINVAL`.
//!
//! # What cannot be prevented
//!
//! - A handler that sleeps. RCU takes the sleep for the end of the handler, so a drop may not wait
//!   for it, and its code can be freed. `CONFIG_DEBUG_ATOMIC_SLEEP` reports the sleep.
//! - `MaybeUninit::pin_init(Kprobe::new(...))`, and the same of `Opaque`, by the trait `Wrapper` of
//!   the `pin_init` crate: safe code can free such memory without dropping the probe. No type that
//!   is registered in place can prevent that.
//!
//! # Examples
//!
//! Count the calls of `kernel_clone()`:
//!
//! ```
//! use kernel::prelude::*;
//! use kernel::sync::atomic::{Atomic, Relaxed};
//! use kprobes::{kprobe, Kprobe, Target};
//!
//! struct Clones(Atomic<u64>);
//!
//! #[vtable]
//! impl kprobe::Handler for Clones {
//!     fn pre(&self, _cx: &kprobe::Context<'_>) {
//!         self.0.fetch_add(1, Relaxed);
//!     }
//! }
//!
//! # fn f() -> Result {
//! let probe = KBox::pin_init(
//!     Kprobe::new(Target::symbol(c"kernel_clone"), Clones(Atomic::new(0))),
//!     GFP_KERNEL,
//! )?;
//! # Ok(()) }
//! ```

#[cfg(not(CONFIG_PREEMPT_COUNT))]
compile_error!(
    "the kernel needs CONFIG_PREEMPT_COUNT, which CONFIG_PREEMPT_LAZY or CONFIG_PREEMPT selects: \
     without it, a probe that is dropped in a handler is not noticed"
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
