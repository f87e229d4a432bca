// SPDX-License-Identifier: GPL-2.0

//! Bindings that `kprobes.mk` generates from `bindings/helper.h`. The kernel crate's bindings do
//! not include `linux/kprobes.h`.

#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks,
    improper_ctypes,
    missing_docs,
    nonstandard_style,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused
)]

include!(env!("KPROBES_BINDINGS"));
