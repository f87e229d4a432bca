// SPDX-License-Identifier: GPL-2.0

//! What a handler collects beyond numbers.

pub(crate) mod stack;

pub use stack::Stack;
