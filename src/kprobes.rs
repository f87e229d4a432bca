// SPDX-License-Identifier: GPL-2.0

//! Kprobes for Rust kernel modules.
//!
//! A value of a probe type *is* a registered probe: making it registers the
//! probe, dropping it unregisters the probe and waits until no handler runs.
//! Handlers are methods of a type that the module chooses; they take `&self`,
//! because the kernel runs them on several CPUs at once.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! # Contexts
//!
//! | what | runs in | may sleep |
//! |---|---|---|
//! | making or dropping a probe | process context | yes, it does |
//! | [`kprobe::Handler`], [`kretprobe::Handler`] | the context that was probed, preemption off, perhaps interrupts off | no |
//!
//! A hit inside a handler is not run but counted: see [`Probe::missed`].
//!
//! # What is never dropped
//!
//! A probe in a static, behind a reference count that never reaches zero, or
//! that was forgotten (`core::mem::forget()`), is registered as long as the
//! module is there. When the module has left, or its init has failed, whatever
//! it still has registered is unregistered, before its code is freed; a line
//! for each tells the place:
//!
//! ```text
//! NAME: left registered: 1 at vfs_read+0x0/0x4a0; unregistered now
//! ```
//!
//! Its memory stays allocated, and `unregistered()` is not called.
//!
//! # Where not to drop one
//!
//! Dropping a probe waits. In a handler, under a spinlock, with interrupts or
//! preemption off, or in an RCU section it cannot, and its memory would be freed
//! while the kernel uses it. So it stops there, with a line that says so and
//! `BUG()`, before anything is freed: that ends the task, or the machine in an
//! interrupt or with `panic_on_oops`. It is told by `preempt_count()`, the
//! interrupts' flag, and the task's depth of RCU sections; where a kernel was
//! built without `CONFIG_PREEMPT_COUNT`, which those of x86-64 and arm64 cannot be
//! from Linux 7.3 on, a spinlock is not seen.
//!
//! Making one, [`Probe::enable`] and [`Probe::disable`] wait as well: there they
//! fail with `EDEADLK`.
//!
//! # What cannot be prevented
//!
//! - A handler that sleeps: for RCU the CPU has then left the handler, so nobody waits for it,
//!   and the module's code can be freed under it. `CONFIG_DEBUG_ATOMIC_SLEEP` tells.
//! - `MaybeUninit::pin_init(Kprobe::new(...))`, of the `pin_init` crate: its memory can be freed
//!   without the drop that a pinned value is promised. No type that is registered in place can
//!   be kept safe from that.
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

// What is not generic is `#[inline]`: it goes into the modules that use it, and not into all.
mod args;
mod bindings;
mod context;
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

pub mod kprobe;
pub mod kretprobe;
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
    Context,
    Place,
    Post,
    Pre,
    Probed,
    Return,
    Trace, //
};
pub use kernel_ext::{
    count::Count,
    nofault,
    param::StringParam,
    percpu::PerCpuCounts,
    ratelimit::RateLimit,
    symbol::{
        Address,
        Location, //
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
#[doc(hidden)]
pub use linux::LocalModule;
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
pub use target::__c_str;
pub use target::Target;
pub use task::Comm;
pub use timed::Timed;
pub use tracepoint::Tracepoint;
