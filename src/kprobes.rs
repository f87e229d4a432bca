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
//! | [`Handler`], [`ReturnHandler`] | the context that was probed, preemption off, perhaps interrupts off | no |
//!
//! A hit inside a handler is not run but counted: see [`Probe::missed`].
//!
//! A probe must be dropped before the module's code goes. It is, where the
//! module's type holds it, directly or not. A probe that was leaked, as by
//! `core::mem::forget()`, stays registered and calls code that is not there any
//! more: the one promise that neither this crate nor the `kernel` crate's
//! registrations can make a type keep.
//!
//! # Examples
//!
//! Count the calls of `kernel_clone()`:
//!
//! ```
//! use kernel::prelude::*;
//! use kernel::sync::atomic::{Atomic, Relaxed};
//! use kprobes::{Context, Handler, Kprobe, Target};
//!
//! struct Clones(Atomic<u64>);
//!
//! #[vtable]
//! impl Handler for Clones {
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
mod count;
mod kprobe;
mod kretprobe;
mod linux;
mod module;
mod nofault;
mod probe;
mod ratelimit;
mod register;
mod regs;
mod set;
mod short;
mod symbol;
mod target;
mod timed;
mod tracepoint;

#[doc(hidden)]
pub mod param;
#[doc(hidden)]
pub mod percpu;

pub use args::{
    FromRegister,
    FromRegisters,
    OrErrno, //
};
pub use context::{
    Comm,
    Context,
    Post,
    Pre,
    Probed,
    Register,
    Return,
    Trace, //
};
pub use count::Count;
pub use kprobe::{
    Handler,
    Kprobe, //
};
pub use kretprobe::{
    Kretprobe,
    ReturnHandler, //
};
pub use linux::param;
#[doc(hidden)]
pub use linux::LocalModule;
pub use module::{
    ModuleHandler,
    ModuleWatch, //
};
pub use nofault::{
    KernelPtr,
    KernelStr,
    Shown,
    UserPtr,
    UserStr, //
};
pub use param::StringParam;
pub use percpu::PerCpuCounts;
pub use probe::{
    Mechanism,
    Probe,
    Registered, //
};
pub use ratelimit::RateLimit;
pub use set::{
    KprobeSet,
    KretprobeSet, //
};
pub use symbol::{
    Address,
    Location, //
};
pub use target::Target;
pub use timed::{
    Timed,
    TimedHandler, //
};
pub use tracepoint::{
    Tracepoint,
    TracepointHandler, //
};
