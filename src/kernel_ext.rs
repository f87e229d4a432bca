// SPDX-License-Identifier: GPL-2.0

//! What the `kernel` crate lacks. Each file names the upstream API that would replace it.

pub(crate) mod count;
mod demangle;
pub(crate) mod display;
pub(crate) mod may_wait;
pub mod nofault;
pub mod param;
pub(crate) mod percpu;
pub(crate) mod ratelimit;
pub(crate) mod symbol;
