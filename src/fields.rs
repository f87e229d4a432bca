// SPDX-License-Identifier: GPL-2.0

//! Fields of the kernel's structs, by their names in C.
//!
//! The arguments of most kernel functions are pointers to structs. To read the fields of such a
//! struct, name its header in the module's `Kbuild`, before `kprobes.mk` is included:
//!
//! ```text
//! opens-headers := linux/fs.h net/sock.h
//! ```
//!
//! [`c_structs!`](crate::c_structs) declares a Rust module with the structs, and
//! [`field!`](crate::field) reads a field. A pointer has the type of the struct that it points at:
//! a `struct sock *` is a `KernelPtr<c::sock>`. `p.field::<c::sock>(0)` casts a pointer, see
//! [`KernelPtr::field`].
//!
//! The build needs Python 3 and `readelf`. `src/fields.py` compiles the headers with the kernel's
//! compiler and flags, and takes the layout of the structs from the debug information. The compiler
//! then confirms the offset, the size and the sign of each field that the module reads.
//!
//! So offsets and types are those of one kernel build. insmod compares the vermagic: the release
//! and a few options. With `CONFIG_MODVERSIONS`, it compares checksums of the symbols that the
//! module uses instead of the release. If a kernel with other structs loads the module, fields have
//! wrong values.
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
//! | larger array of these | error of rustc; read an element, or take `&` of the array |
//! | pointer to a struct or an integer | [`KernelPtr`] to that type |
//! | any other pointer | `KernelPtr` |
//! | struct, union | a `KernelPtr` to it; nothing is read |
//! | array of structs, array without a length | a `KernelPtr` to its first element |
//!
//! A pointer to user memory (`__user`) has the type `KernelPtr`, too, and reads through it fail
//! with `EFAULT`. Pass its address to [`UserPtr::new`](crate::nofault::UserPtr::new).
//!
//! To see the type of a field, write `let n: () = field!(sk, sk_backlog.len)?;`: the error of rustc
//! names it.
//!
//! `src/fields.py` finds the field paths, such as `f_path.dentry`, in the module's source text,
//! before macros are expanded. So write each path in full: a macro of the module cannot pass one to
//! `field!`.
//!
//! Context: any; nothing here sleeps, locks or faults. Another CPU may meanwhile change a field or
//! a pointer on the path, or free what the pointer points at. Then any value may be read.

use crate::nofault::KernelPtr;
use kernel::prelude::*;

/// Reads a field of a struct in kernel memory: `field!(POINTER, PATH)` returns a `Result`.
///
/// The path is as in C, but with `.` also for `->`. It names members, also those of anonymous
/// structs and unions. `[NUMBER]` selects an element of an array, by a literal. A name that Rust
/// reserves may be written as it is, or as `r#type`.
///
/// `field!(file, &f_path)` returns a [`KernelPtr`] to the field instead of its value; of an array,
/// to its first element, and [`element`](KernelPtr::element) of that takes any index.
///
/// It costs one [`KernelPtr::read`] for each pointer on the path, and one for the field.
///
/// Errors: `EFAULT` if the field or a pointer on the path cannot be read, for example if a pointer
/// is NULL. With `&`, the field itself is not read.
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
/// The Rust module has the types that the source names, as `c::sock` or in `use c::{sock, socket}`,
/// and those of the fields that the source reads. An anonymous struct has the name of its
/// `typedef`, as `c::atomic_t`. These types serve only as the target type of a [`KernelPtr`]; no
/// value of them can be created.
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
/// `field!` uses it with `()` as `X`. For a wrong path, `fields.py` writes an `impl` that requires
/// a certain trait of `X`. `()` lacks that trait, so rustc reports the error text of the trait.
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

/// What the file that `fields.py` writes uses.
#[doc(hidden)]
pub mod generated {
    pub use super::Member;
    pub use crate::nofault::KernelPtr;
    pub use kernel::prelude::c_void;
    pub use kernel::prelude::Result;

    pub trait Any {}
    impl Any for () {}
}
