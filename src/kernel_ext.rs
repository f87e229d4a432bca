// SPDX-License-Identifier: GPL-2.0

//! Extensions of the `kernel` crate. Each file names the upstream API that would replace it.

pub(crate) mod count;
mod demangle;
pub(crate) mod display;
pub(crate) mod may_wait;
pub mod nofault;
pub mod param;
pub(crate) mod percpu;
pub(crate) mod ratelimit;
pub(crate) mod symbol;
