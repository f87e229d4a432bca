// SPDX-License-Identifier: GPL-2.0

//! Conversion of CPU registers and tracepoint arguments into typed values.
//!
//! C header: [`include/linux/err.h`](srctree/include/linux/err.h)

use crate::prelude::*;

/// A value that the kernel passes in one machine word: an argument or a result in a CPU register,
/// or an argument of a tracepoint.
///
/// | type | C type |
/// |---|---|
/// | `u8` to `u64`, `usize`, `i8` to `i64`, `isize`, `bool` | the integer of that size and sign |
/// | [`UserPtr`], [`KernelPtr`], [`UserStr`], [`KernelStr`] | a pointer |
/// | `Result` | an `int` that is 0 or `-errno` |
/// | `Result<u32>`, `Result<i32>` | an `int` that is a number or `-errno` |
/// | `Result<usize>`, `Result<isize>`, `Result<u64>`, `Result<i64>` | the same for `long` or `ssize_t` |
/// | `Result<KernelPtr<_>>` | a pointer or `ERR_PTR(-errno)` |
///
/// Types narrower than a word ignore its upper bits, which are undefined in C. For structs passed
/// by value, see [`Context::arg0`](crate::Context::arg0).
///
/// [`UserPtr`]: crate::nofault::UserPtr
/// [`KernelPtr`]: crate::nofault::KernelPtr
/// [`UserStr`]: crate::nofault::UserStr
/// [`KernelStr`]: crate::nofault::KernelStr
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of an argument or result",
    label = "does not implement `FromWord`",
    note = "use an integer, `bool`, `UserPtr`, `KernelPtr`, `UserStr` or `KernelStr`; for a result \
            that can be `-errno`, a `Result` of an integer, a `KernelPtr` or `()`"
)]
pub trait FromWord: Sized {
    /// Converts the word.
    fn from_word(word: usize) -> Self;
}

/// Implements `new`, `FromWord` and `FromBytes` for a type that wraps an address.
macro_rules! from_address {
    ($name:ident, |$addr:ident| $new:expr) => {
        impl $name {
            /// Creates a pointer to this address.
            #[inline]
            pub const fn new($addr: usize) -> Self {
                $new
            }
        }

        impl FromWord for $name {
            #[inline(always)]
            fn from_word(word: usize) -> Self {
                Self::new(word)
            }
        }

        // SAFETY: The type holds only an address, and every bit pattern is a valid address.
        unsafe impl kernel::transmute::FromBytes for $name {}
    };
}
pub(crate) use from_address;

/// A result type of kernel functions whose values from `-MAX_ERRNO` to -1 are errors.
#[diagnostic::on_unimplemented(
    message = "`Result<{Self}>` cannot be the type of a result",
    label = "`{Self}` does not implement `OrErrno`",
    note = "use a `Result` of a 32-bit or 64-bit integer, a `KernelPtr` or `()`"
)]
pub trait OrErrno: FromWord {
    /// Sign-extends the word from the width of the type.
    fn signed(word: usize) -> isize;
}

macro_rules! from_word {
    ($($int:ty),* $(,)?) => {
        $(impl FromWord for $int {
            #[inline(always)]
            fn from_word(word: usize) -> Self {
                word as Self
            }
        })*
    };
}

from_word!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

impl FromWord for bool {
    #[inline(always)]
    fn from_word(word: usize) -> Self {
        word as u8 != 0
    }
}

impl FromWord for () {
    #[inline(always)]
    fn from_word(_: usize) -> Self {}
}

macro_rules! or_errno {
    ($($type:ty as $signed:ty),* $(,)?) => {
        $(impl OrErrno for $type {
            #[inline(always)]
            fn signed(word: usize) -> isize {
                word as $signed as isize
            }
        })*
    };
}

or_errno!(
    () as i32,
    u32 as i32,
    i32 as i32,
    u64 as i64,
    i64 as i64,
    usize as isize,
    isize as isize
);

impl<T: OrErrno> FromWord for Result<T> {
    #[inline(always)]
    fn from_word(word: usize) -> Self {
        let signed = T::signed(word);
        if (-(bindings::MAX_ERRNO as isize)..0).contains(&signed) {
            Err(Error::from_errno(signed as c_int))
        } else {
            Ok(T::from_word(word))
        }
    }
}

/// The types of the first arguments of a function, as a tuple.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of argument types",
    note = "use a tuple of up to six `FromWord` types; `(T,)` for one argument"
)]
pub trait FromWords: Sized {
    /// The number of arguments.
    const COUNT: usize;

    /// Converts the arguments; `word(n)` returns argument `n`, the first being 0.
    fn from_words(word: impl Fn(usize) -> usize) -> Self;
}

macro_rules! from_words {
    ($($name:ident = $n:literal),*) => {
        impl<$($name: FromWord),*> FromWords for ($($name,)*) {
            const COUNT: usize = <[usize]>::len(&[$($n),*]);

            #[inline(always)]
            #[allow(clippy::unused_unit, unused_variables, reason = "of no arguments")]
            fn from_words(word: impl Fn(usize) -> usize) -> Self {
                ($($name::from_word(word($n)),)*)
            }
        }
    };
}

from_words!();
from_words!(A = 0);
from_words!(A = 0, B = 1);
from_words!(A = 0, B = 1, C = 2);
from_words!(A = 0, B = 1, C = 2, D = 3);
from_words!(A = 0, B = 1, C = 2, D = 3, E = 4);
from_words!(A = 0, B = 1, C = 2, D = 3, E = 4, F = 5);
