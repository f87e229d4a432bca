// SPDX-License-Identifier: GPL-2.0

//! Registration of probes, the same for every kind.
//!
//! [`Kprobe`](crate::Kprobe) is a [`Probe`] of the kind [`kprobe::Kind`](crate::kprobe::Kind),
//! [`KprobeSet`](crate::KprobeSet) a [`Set`] of that kind, and so on for every kind.
//! [`Registered`] has the methods of a registered probe. The states of a probe are:
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
//! A [`Pending`](crate::Pending) registers probes whenever their module is loaded.
//!
//! If a probe is refused, one line is logged, `opens: kprobe at do_sys_openat3: no such symbol
//! (ENOENT)`, and a second one has the [hint](crate::Target::hint), if there is one. At most 100
//! such lines are logged in 5 seconds, and none for a probe that is [`quiet`](Options::quiet).

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
    check_target,
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
