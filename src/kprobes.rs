// SPDX-License-Identifier: GPL-2.0

//! Kprobes for Rust kernel modules.
//!
//! A value of a probe type *is* a registered probe: creating it registers the
//! probe, dropping it unregisters the probe and waits for running handlers.
//! Handlers are methods of a type that the module defines. They take `&self`,
//! because the kernel runs them on several CPUs at once.
//!
//! Since Linux 7.2. What to use for what is in [`guide`].
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! # Contexts
//!
//! | what | context | may sleep |
//! |---|---|---|
//! | creating or dropping a probe; [`Probe::enable`], [`Probe::disable`] | process context | yes, it does |
//! | [`kprobe::Handler`], [`kretprobe::Handler`], [`overrides::Handler`], [`entry::Handler`] | probed context, preemption disabled, interrupts possibly too | no |
//! | [`tracepoint::Handler`] | that of the tracepoint; it may be preempted | no |
//! | `emit()` of a [`trace_event!`] | any of these handlers | no |
//! | `unregistered()` of each of these | process context, in the drop | yes |
//! | [`module::Handler`] | process context | yes |
//!
//! The kernel does not run a handler for a hit inside another handler. It
//! counts the hit: see [`Probe::missed`]. Nor does the library for an [`Entry`], where
//! it counts itself: see [`entry::Probe::missed`].
//!
//! # Which kind
//!
//! | where | kind | net instructions, counting per CPU |
//! |---|---|---|
//! | any instruction, with all CPU registers | [`Kprobe`] | 150 and more |
//! | the entry of a function, with its arguments; up to all functions, by a pattern | [`Entry`], [`EntrySet`] | 55 |
//! | entry and return of a function | [`Kretprobe`], [`Timed`] | 400 and more |
//! | what the kernel's developers chose | [`Tracepoint`] | 25 |
//!
//! # The path of a hit
//!
//! It is the same for a single probe and for one of a set. `Owner::hit` finds the
//! handler and the index from the C struct.
//!
//! ```text
//!      ftrace call, jump or breakpoint        the kernel
//!             |               |
//!       struct kprobe  struct kretprobe
//!             |               |
//!      pre, post, both    entry, ret          Callbacks, in {kprobe,kretprobe}/calls.rs
//!             +-------+-------+
//!                     v
//!           Owner::hit(C struct)              slot.rs, or members.rs for a set
//!                     v
//!   Context::new(registers, probe, index)     context.rs
//!                     v
//!     Handler::{pre, post, entry, ret}        the module
//! ```
//!
//! An [`Entry`] has no `struct kprobe`: ftrace calls the library directly.
//!
//! ```text
//!      ftrace call of a function
//!               |
//!   the module's one ftrace_ops              bindings/helpers/entry.c
//!               v
//!   hit(): preemption, guard of the task     entry/hit.rs
//!               v
//!   Table::find(address) -> first probe      entry/table.rs
//!               v
//!   run(): Handler::entry, then the next     entry/hit.rs, the module
//! ```
//!
//! An [`Override`] has callbacks of its own, in `overrides.rs`, which continue at
//! `Owner::hit`. A [`Tracepoint`] has no `struct kprobe`; `tracepoint.rs` has its
//! whole path.
//!
//! # What is checked
//!
//! - A handler that is not `Sync`, a [`Context`] that leaves its handler, kretprobe data with a
//!   destructor, a probe that is moved, and a result before the return do not compile.
//!   `tests/compile_fail` has a program for each of these, and more.
//! - Failing to arm or disarm a probe, which `register_kprobe()` and `unregister_kprobe()` do not
//!   report. A probe that cannot be armed is an error; one that cannot be disarmed is not freed.
//! - What changes the probed code is `unsafe`, and says what the caller has to ensure:
//!   [`Context::set_register`], [`Context::set_arg`], [`Context::set_ret`], [`Override`].
//!
//! # Events
//!
//! What a handler sees can go to tracefs, perf and BPF programs, as a record that
//! [`trace_event!`] declares. See [`event`].
//!
//! # Probes that are never dropped
//!
//! A probe in a static, behind a reference count that never reaches zero, or
//! passed to `core::mem::forget()`, stays registered as long as the module is
//! loaded. When the module is unloaded, or its init fails, everything that is
//! still registered is unregistered before the module's code is freed, with one
//! line for each:
//!
//! ```text
//! NAME: left registered: 1 at vfs_read+0x0/0x4a0; unregistered now
//! ```
//!
//! Its memory stays allocated, and `unregistered()` is not called.
//!
//! # Where not to drop a probe
//!
//! Dropping a probe waits. It cannot do so in a handler, under a spinlock, with
//! interrupts or preemption disabled, or in an RCU read-side critical section:
//! the memory would be freed while the kernel uses it. A drop there logs a line
//! and calls `BUG()` before anything is freed. That kills the task; in an
//! interrupt or with `panic_on_oops`, it stops the machine.
//!
//! The check reads `preempt_count()`, the interrupt flag and the task's RCU
//! nesting depth. So the library does not compile for a kernel without
//! `CONFIG_PREEMPT_COUNT`, which x86-64 and arm64 always have from Linux 7.3 on.
//!
//! Making one, [`Probe::enable`] and [`Probe::disable`] wait as well: there they
//! fail with `EDEADLK`.
//!
//! # Where not to create a probe
//!
//! On the stack (`stack_pin_init!`): a task that ends in a `BUG()`, as every panic
//! does, drops nothing, but its stack is freed. Making one there fails with
//! `EINVAL`.
//!
//! # What cannot be prevented
//!
//! - A handler that sleeps. RCU takes this for the end of the handler, so nobody waits for it, and
//!   the module's code can be freed under it. `CONFIG_DEBUG_ATOMIC_SLEEP` reports it.
//! - `MaybeUninit::pin_init(Kprobe::new(...))`, and the same of `Opaque`, by the trait `Wrapper` of
//!   the `pin_init` crate: the memory can be freed without the drop that a pinned value is promised.
//!   No type that is registered in place can be protected from that.
//!
//! # Examples
//!
//! Count the calls of `kernel_clone()`:
//!
//! ```
//! use kernel::prelude::*;
//! use kernel::sync::atomic::{Atomic, Relaxed};
//! use kprobes::{kprobe, Context, Kprobe, Target};
//!
//! struct Clones(Atomic<u64>);
//!
//! #[vtable]
//! impl kprobe::Handler for Clones {
//!     fn pre(&self, _cx: &Context<'_>) {
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
mod args;
mod bindings;
mod context;
mod exec;
mod file;
mod held;
mod kernel_ext;
mod linux;
mod members;
mod probe;
mod registration;
mod short;
mod slot;
mod target;
mod task;

pub mod entry;
pub mod event;
#[cfg(doc)]
pub mod guide;
pub mod kprobe;
pub mod kretprobe;
#[doc(hidden)]
pub mod macro_paths;
pub mod module;
pub mod overrides;
pub mod regs;
pub mod timed;
pub mod tracepoint;

pub use args::{
    FromWord,
    FromWords,
    OrErrno, //
};
pub use context::{
    AtEntry,
    Context,
    Place,
    Post,
    Pre,
    Probed,
    Return,
    Trace, //
};
pub use entry::{
    Entry,
    EntrySet, //
};
pub use exec::{
    Arguments,
    Exec, //
};
pub use file::{
    Dentry,
    File,
    FileId,
    Filename, //
};
pub use kernel_ext::{
    count::Count,
    nofault,
    param::StringParam,
    percpu::PerCpuCounts,
    ratelimit::RateLimit,
    symbol::{
        Address,
        Location,
        Symbol, //
    }, //
};
#[doc(hidden)]
pub use kernel_ext::{
    param,
    percpu, //
};
pub use kprobe::{
    Kprobe,
    KprobeSet, //
};
pub use kretprobe::{
    Kretprobe,
    KretprobeSet, //
};
pub use linux::param;
pub use members::{
    Members,
    Refusal, //
};
pub use module::ModuleWatch;
pub use overrides::Override;
pub use probe::{
    Mechanism,
    Probe, //
};
#[doc(hidden)]
pub use short::__refused;
#[doc(hidden)]
pub use target::__c_str;
pub use target::Target;
pub use task::Comm;
pub use timed::Timed;
pub use tracepoint::Tracepoint;
