// SPDX-License-Identifier: GPL-2.0

//! Paths for macros, which expand in the user's module.
//!
//! The user may shadow names of the prelude, and even `::core` (`extern crate self as core`).
//! `$crate` is always this crate.

pub use ::core;
pub use ::core::primitive::bool;
pub use ::core::primitive::str;
pub use ::core::primitive::u64;
pub use ::core::primitive::u8;
pub use ::core::primitive::usize;
pub use ::kernel;

/// Accepts only attributes that do not change an item. With `cfg`, for example, a user could remove
/// the item and define another one of that name.
#[doc(hidden)]
#[macro_export]
macro_rules! __attribute {
    (doc) => {};
    (allow) => {};
    (expect) => {};
    ($other:ident) => {
        $crate::macro_paths::core::compile_error!(
            "only the attributes `doc`, `allow` and `expect` are supported"
        );
    };
}
