// SPDX-License-Identifier: GPL-2.0

//! What the `kernel` crate does not have yet. Each file names what would replace
//! it there.

pub(crate) mod count;
pub(crate) mod may_wait;
pub mod nofault;
pub mod param;
pub mod percpu;
pub(crate) mod ratelimit;
pub(crate) mod symbol;
