// SPDX-License-Identifier: GPL-2.0

//! Fields of the kernel's structs, by their names in C.
//!
//! To read the fields of a struct, name its header in the module's `Kbuild`, before `kprobes.mk` is
//! included:
//!
//! ```text
//! opens-headers := linux/fs.h net/sock.h
//! ```
//!
//! [`c_structs!`](crate::c_structs) declares a Rust module with the structs, and
//! [`field!`](crate::field) reads a field. A `struct sock *` is a `KernelPtr<c::sock>`. To cast
//! another pointer `p` to that type, write `p.field::<c::sock>(0)`: a `struct sock` at offset 0.
//!
//! The build needs Python 3 and `readelf`. `src/fields.py` compiles the headers with the kernel's
//! compiler and flags and reads the layout of the structs from the debug information. Static
//! assertions then check the offset, size and signedness of each field that the module reads.
//!
//! Offsets and types are those of one kernel build. On a kernel with different layouts, the module
//! reads wrong values, and loading it does not necessarily fail: the kernel compares the release
//! and a few options (vermagic), or, with `CONFIG_MODVERSIONS`, checksums of imported symbols and
//! these options.
//!
//! # Types
//!
//! | C | Rust |
//! |---|---|
//! | integers, also as bit fields; `long`, `size_t` | `u8` to `i64`; `isize`, `usize` |
//! | `bool` | `bool` |
//! | `enum` | the integer that the compiler chooses for it |
//! | `__be16`, `__le32` | `u16`, `u32` in the byte order of the field: see [`u16::from_be`] |
//! | array of integers or pointers, of up to 1024 bytes | array; an array of `bool` becomes an array of `u8` |
//! | larger array of these | does not compile; read an element, or take `&` of the array |
//! | pointer to a struct or an integer | [`KernelPtr`] to that type |
//! | pointer to a pointer | `KernelPtr<KernelPtr<T>>` |
//! | pointer to `void` or a function | `KernelPtr` |
//! | struct, union | a `KernelPtr` to it; nothing is read |
//! | array of structs, array without a length | a `KernelPtr` to its first element |
//!
//! A `__user` pointer is a `KernelPtr`, too, and reads through it fail with `EFAULT`. Pass its
//! address to [`UserPtr::new`](crate::nofault::UserPtr::new).
//!
//! To see the type of a field, write `let n: () = field!(sk, sk_backlog.len)?;`: rustc's error
//! names it.
//!
//! Write each path, such as `f_path.dentry`, in full: `src/fields.py` searches the source text,
//! where macros are not expanded, so a macro of the module cannot pass a path to `field!`.
//!
//! Context: any; nothing here sleeps, locks or faults. If another CPU concurrently changes a field
//! or a pointer on the path, or frees the memory that it points at, any value may be read.

use crate::nofault::KernelPtr;
use kernel::prelude::*;

/// Reads a field of a struct in kernel memory: `field!(POINTER, PATH)` returns a `Result`.
///
/// The path is written as in C, but with `.` even where C has `->`. Members of anonymous structs
/// and unions need no prefix. `[NUMBER]`, a literal, selects an element of an array. A Rust keyword
/// may be written as it is, or as `r#type`.
///
/// `field!(file, &f_path)` returns a [`KernelPtr`] to the field instead of its value. For an array,
/// it points at the first element, and [`element`](KernelPtr::element) takes any index.
///
/// `field!` costs one [`KernelPtr::read`] for each pointer on the path and, without `&`, one for
/// the field.
///
/// Errors: `EFAULT` if the field or a pointer on the path cannot be read, for example because a
/// pointer is NULL. With `&`, the field itself is not read.
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
///     // At `do_dentry_open(struct file *, ...)`.
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

/// Declares a Rust module with the structs and unions of C: `c_structs!(c)`, once, in the main file
/// of the kernel module. See [`fields`](self).
///
/// The Rust module contains the types that the kernel module's source names, as `c::sock` or in
/// `use c::{sock, socket}`, and the types of the fields that this source reads. An anonymous struct
/// has the name of its `typedef`, such as `c::atomic_t`. No value of these types can be created;
/// they only serve as the type that a [`KernelPtr`] points to.
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

/// A struct with a field at `PATH`.
///
/// `field!` uses it with `()` as `X`. For a wrong path, `fields.py` generates an `impl` that bounds
/// `X` by a trait. `()` lacks this trait, so rustc reports the trait's error message.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a struct of `c_structs!`",
    label = "not a `KernelPtr` to a struct of `c_structs!`",
    note = "`field!` takes a `KernelPtr<c::NAME>` and a path that no macro generated"
)]
pub trait Member<const PATH: u64, X>: Sized {
    type Value;

    fn read(this: KernelPtr<Self>) -> Result<Self::Value>;
}

/// Returns the hash of a path without its spaces and `r#`. `fields.py` computes the same.
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

/// Names for the generated file.
#[doc(hidden)]
pub mod generated {
    pub use super::Member;
    pub use crate::nofault::KernelPtr;
    pub use kernel::prelude::c_void;
    pub use kernel::prelude::Result;

    pub trait Any {}
    impl Any for () {}
}
