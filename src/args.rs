// SPDX-License-Identifier: GPL-2.0

//! From a machine word to a value of a type.
//!
//! C header: [`include/linux/err.h`](srctree/include/linux/err.h)

use crate::bindings;
use kernel::prelude::*;

/// A type that a C function takes or returns in one machine word: a register, or an
/// argument of a tracepoint.
///
/// | type | C type |
/// |---|---|
/// | `u8` to `u64`, `usize`, `i8` to `i64`, `isize`, `bool` | the integer of that size and sign |
/// | [`UserPtr`], [`KernelPtr`], [`UserStr`], [`KernelStr`] | a pointer, which only they can read |
/// | `Result` | an `int` that is 0 or `-errno` |
/// | `Result<u32>`, `Result<i32>` | an `int` that is a number or `-errno` |
/// | `Result<usize>`, `Result<isize>`, `Result<u64>`, `Result<i64>` | a `long`, or `ssize_t`, likewise |
/// | `Result<KernelPtr<_>>` | a pointer or `ERR_PTR(-errno)` |
///
/// Narrow types take the low bits: a caller may leave anything above them.
///
/// [`UserPtr`]: crate::nofault::UserPtr
/// [`KernelPtr`]: crate::nofault::KernelPtr
/// [`UserStr`]: crate::nofault::UserStr
/// [`KernelStr`]: crate::nofault::KernelStr
pub trait FromWord: Sized {
    /// Reads the value out of the word.
    fn from_word(word: usize) -> Self;
}

/// A type of which the values from `-MAX_ERRNO` to -1 mean an error, as the
/// kernel's functions return them.
pub trait OrErrno: FromWord {
    /// The word as a signed number, as wide as the type is.
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
pub trait FromWords: Sized {
    /// How many they are.
    const COUNT: usize;

    /// Reads the values; `word` gives the `n`th argument.
    fn from_words(word: impl Fn(usize) -> usize) -> Self;
}

macro_rules! from_words {
    ($($name:ident = $n:literal),*) => {
        impl<$($name: FromWord),*> FromWords for ($($name,)*) {
            const COUNT: usize = <[usize]>::len(&[$($n),*]);

            #[inline(always)]
            fn from_words(word: impl Fn(usize) -> usize) -> Self {
                ($($name::from_word(word($n)),)*)
            }
        }
    };
}

impl FromWords for () {
    const COUNT: usize = 0;

    #[inline(always)]
    fn from_words(_: impl Fn(usize) -> usize) -> Self {}
}

from_words!(A = 0);
from_words!(A = 0, B = 1);
from_words!(A = 0, B = 1, C = 2);
from_words!(A = 0, B = 1, C = 2, D = 3);
from_words!(A = 0, B = 1, C = 2, D = 3, E = 4);
from_words!(A = 0, B = 1, C = 2, D = 3, E = 4, F = 5);
