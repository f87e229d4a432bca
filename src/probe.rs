// SPDX-License-Identifier: GPL-2.0

//! The life of a probe, the same for every kind: it is registered, it has hits, it can be disabled
//! and enabled, and dropping it unregisters it.
//!
//! [`Kprobe`](crate::Kprobe) is a [`Probe`] of the kind [`kprobe::Kind`](crate::kprobe::Kind),
//! [`KprobeSet`](crate::KprobeSet) a [`Set`] of that kind, and so on for every kind. What a
//! registered probe can be asked is in [`Registered`].
//!
//! States of a probe:
//!
//! ```text
//!                new()        disable()
//! (no probe) ----------> enabled <---> disabled <---------- new(), Options::disabled()
//!                           |  enable()   |
//!                           +-----+-------+
//!                                 | the module with the probed code is unloaded
//!                                 v
//!                               gone
//! ```
//!
//! A [`Pending`](crate::Pending) registers probes when their module is loaded, and again whenever
//! it comes back.
//!
//! A constructor that refuses a target logs the target and the reason, unless the options are
//! [`quiet`](Options::quiet): `opens: kprobe at do_sys_openat3: no such symbol (ENOENT)`. A second
//! line names the symbol that may be meant, or the command that lists similar ones. At most 100 of
//! these are logged in 5 seconds. [`Target::check`](crate::Target::check) logs nothing.

mod arm;
mod kind;
mod kprobes;
mod module_entry;
mod named;
mod registered;
mod set;
mod single;

pub use arm::Arm;
#[doc(hidden)]
pub use arm::ArmCall;
pub(crate) use kind::{
    constructor,
    constructors,
    kind,
    optional,
    Owner,
    Raw, //
    NO_FUNCTION,
    NO_PLACE,
};
pub use kind::{
    Handles,
    Kind,
    Options,
    Safe, //
};
pub(crate) use kprobes::{
    try_out,
    Kprobes,
    Plan,
    Round, //
};
pub(crate) use named::{
    may_come,
    refused,
    Named, //
};
pub(crate) use registered::index_of;
pub use registered::{
    Mechanism,
    Registered, //
};
pub(crate) use set::Member;
pub use set::{
    Refusal,
    Set, //
};
pub use single::Probe;
