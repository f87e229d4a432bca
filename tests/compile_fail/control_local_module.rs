// SPDX-License-Identifier: GPL-2.0
// This one compiles: the owner is the module itself.

pub use crate::LocalModule as Owner;
