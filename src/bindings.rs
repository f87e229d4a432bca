// SPDX-License-Identifier: GPL-2.0

//! The C side, as `bindgen` reads it from the kernel that is built against.
//!
//! `linux/kprobes.h` is not among the headers of the kernel crate's own
//! bindings, so `kprobes.mk` has them generated from `bindings/helper.h`.

#![allow(
    clippy::all,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports
)]

include!(env!("KPROBES_BINDINGS"));
