// SPDX-License-Identifier: GPL-2.0

//! What the macros name in a user's module, by a path through this crate.
//!
//! There, a name of the prelude may be the user's own type or macro, and `::core` may be the user's
//! own crate (`extern crate self as core`). `$crate` is always this crate.

pub use ::core;
pub use ::core::primitive::bool;
pub use ::core::primitive::str;
pub use ::core::primitive::u64;
pub use ::core::primitive::u8;
pub use ::core::primitive::usize;
pub use ::kernel;

/// Refuses all attributes but those that leave an item as it is. Without `cfg`, for example, the
/// item is always there, so the user cannot replace it.
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
