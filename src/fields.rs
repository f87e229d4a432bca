// SPDX-License-Identifier: GPL-2.0

//! Fields of the kernel's structs, by the names that they have in C.
//!
//! The arguments of most kernel functions are pointers to structs. The module's `Kbuild` names the
//! headers of these structs, before it includes `kprobes.mk`:
//!
//! ```text
//! opens-headers := linux/fs.h net/sock.h
//! ```
//!
//! [`c_structs!`](crate::c_structs) declares a Rust module with the structs, and
//! [`field!`](crate::field) reads a field of one. A pointer has the type of the struct that it
//! points at: a `struct sock *` is a `KernelPtr<c::sock>`.
//!
//! The offsets and types are those of the kernel that the module is built for. `src/fields.py` has
//! its compiler lay out the structs, with the kernel's own flags, and then confirm the offset, the
//! size and the sign of each field that the module reads.
//!
//! # Types
//!
//! | C | Rust |
//! |---|---|
//! | integers, also as bit fields; `long`, `size_t` | `u8` to `i64`; `isize`, `usize` |
//! | `bool` | `bool` |
//! | `enum` | the integer that the compiler takes |
//! | `__be16`, `__le32` | `u16`, `u32`, as they are stored: see [`u16::from_be`] |
//! | array of integers or pointers, of up to 1024 bytes | array; of `u8` for `bool` |
//! | pointer to a struct or an integer | [`KernelPtr`] to that type |
//! | any other pointer | `KernelPtr` |
//! | struct, union | a `KernelPtr` to it: it is not read |
//! | array of structs, array without a length | a `KernelPtr` to its first element |
//!
//! To the compiler, a pointer to user memory (`__user`) is like any other. A read as kernel memory
//! fails with `EFAULT`; pass its address to [`UserPtr::new`](crate::nofault::UserPtr::new).
//!
//! If the compiler reports that a value has another type than expected, that is the type of the
//! field: `let n: () = field!(sk, sk_backlog.len)?;` shows it.
//!
//! `src/fields.py` reads the paths from the source files of the module, before any macro is
//! expanded. So write each path in full: a macro of the module cannot pass one to `field!`.
//!
//! Context: any; nothing here sleeps, locks or faults. Another CPU may change a field meanwhile, or
//! a pointer on the path, or free what it points at: then any value may be read.

use crate::nofault::KernelPtr;
use kernel::prelude::*;

/// Reads a field of a struct in kernel memory: `field!(POINTER, PATH)`, as a `Result`.
///
/// The path is as in C, with `.` also for `->`: names of members, also of those in unnamed structs
/// and unions, and `[NUMBER]` for an element of an array. `field!(file, &f_path)` is a
/// [`KernelPtr`] to the field instead of its value; of an array, to its first element.
///
/// It costs one [`KernelPtr::read`] for each pointer on the path, and one for the field.
///
/// # Errors
///
/// `EFAULT` if the field, or a pointer on the path, cannot be read.
///
/// # Examples
///
/// ```
/// // Kbuild: opens-headers := linux/fs.h
/// kprobes::c_structs!(c);
///
/// use kernel::prelude::*;
/// use kprobes::{field, kprobe, nofault::KernelPtr};
///
/// struct Opens;
///
/// #[vtable]
/// impl kprobe::Handler for Opens {
///     // Of `do_dentry_open(struct file *, ...)`.
///     fn pre(&self, cx: &kprobe::Context<'_>) {
///         let file: KernelPtr<c::file> = cx.arg0();
///         if let Ok(mode) = field!(file, f_path.dentry.d_inode.i_mode) {
///             pr_info!("{} opens a file of mode {mode:o}\n", cx.comm());
///         }
///     }
/// }
/// ```
#[macro_export]
macro_rules! field {
    ($pointer:expr, $($path:tt)+) => {
        $crate::fields::Member::<
            { $crate::fields::path($crate::macro_paths::core::stringify!($($path)+)) },
            (),
        >::read($pointer)
    };
}

/// Declares a Rust module with the structs and unions of C: `c_structs!(c)`. See [`fields`](self).
///
/// It has the types that the source names, as `c::sock` or in `use c::{sock, socket}`, and those of
/// the fields that it reads. An unnamed struct has the name of its `typedef`, as `c::atomic_t`.
/// These are types for a [`KernelPtr`] to point at; there are no values of them.
#[macro_export]
macro_rules! c_structs {
    ($vis:vis $name:ident) => {
        #[allow(clippy::all, clippy::pedantic)]
        #[allow(missing_docs, non_camel_case_types, unreachable_pub, unused)]
        $vis mod $name {
            use $crate::fields::generated as __k;
            $crate::macro_paths::core::include!($crate::macro_paths::core::env!(
                "KPROBES_FIELDS",
                "the Kbuild has no NAME-headers before it includes kprobes.mk"
            ));
        }
    };
}

/// A struct in which `PATH` leads to a field.
///
/// `field!` asks for an `X` of `()`. Where `PATH` leads nowhere, there is an `impl` for each `X`
/// that has a certain trait; `()` does not have it, and rustc's error is the trait's own.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no struct of `c_structs!`",
    label = "not a pointer to a struct whose fields are known",
    note = "`field!` takes a `KernelPtr<c::NAME>`, and a path that no macro has made"
)]
pub trait Member<const PATH: u64, X>: Sized {
    type Value;

    fn read(this: KernelPtr<Self>) -> Result<Self::Value>;
}

/// Returns the number of a path, without spaces and `r#`. `fields.py` computes the same.
#[doc(hidden)]
pub const fn path(text: &str) -> u64 {
    let text = text.as_bytes();
    let mut number = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < text.len() {
        if text[at] == b'r' && at + 1 < text.len() && text[at + 1] == b'#' {
            at += 1;
        } else if !text[at].is_ascii_whitespace() {
            number = (number ^ text[at] as u64).wrapping_mul(0x100_0000_01b3);
        }
        at += 1;
    }
    number
}

/// What is used in the file that `fields.py` writes.
#[doc(hidden)]
pub mod generated {
    pub use super::Member;
    pub use crate::nofault::KernelPtr;
    pub use kernel::prelude::{
        c_void,
        Result, //
    };

    pub trait Any {}
    impl Any for () {}
}
