// SPDX-License-Identifier: GPL-2.0

//! From the content of a register to a value of a type.
//!
//! C header: [`include/linux/err.h`](srctree/include/linux/err.h)

use crate::bindings;
use kernel::prelude::*;

/// A type that a C function takes or returns in one register.
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
/// [`UserPtr`]: crate::UserPtr
/// [`KernelPtr`]: crate::KernelPtr
/// [`UserStr`]: crate::UserStr
/// [`KernelStr`]: crate::KernelStr
pub trait FromRegister: Sized {
    /// Reads the value out of the register's content.
    fn from_register(register: usize) -> Self;
}

/// A type of which the values from `-MAX_ERRNO` to -1 mean an error, as the
/// kernel's functions return them.
pub trait OrErrno: FromRegister {
    /// The register's content as a number with a sign, as wide as the type is.
    fn signed(register: usize) -> isize;
}

macro_rules! from_register {
    ($($int:ty),* $(,)?) => {
        $(impl FromRegister for $int {
            #[inline(always)]
            fn from_register(register: usize) -> Self {
                register as Self
            }
        })*
    };
}

from_register!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

impl FromRegister for bool {
    #[inline(always)]
    fn from_register(register: usize) -> Self {
        register as u8 != 0
    }
}

impl FromRegister for () {
    #[inline(always)]
    fn from_register(_: usize) -> Self {}
}

macro_rules! or_errno {
    ($($type:ty as $signed:ty),* $(,)?) => {
        $(impl OrErrno for $type {
            #[inline(always)]
            fn signed(register: usize) -> isize {
                register as $signed as isize
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

impl<T: OrErrno> FromRegister for Result<T> {
    #[inline(always)]
    fn from_register(register: usize) -> Self {
        let signed = T::signed(register);
        if (-(bindings::MAX_ERRNO as isize)..0).contains(&signed) {
            Err(Error::from_errno(signed as c_int))
        } else {
            Ok(T::from_register(register))
        }
    }
}

/// The types of the first arguments of a function, as a tuple.
pub trait FromRegisters: Sized {
    /// How many they are.
    const COUNT: usize;

    /// Reads the values; `register` gives the content of the `n`th argument's.
    fn from_registers(register: impl Fn(usize) -> usize) -> Self;
}

macro_rules! from_registers {
    ($($name:ident = $n:literal),*) => {
        impl<$($name: FromRegister),*> FromRegisters for ($($name,)*) {
            const COUNT: usize = <[usize]>::len(&[$($n),*]);

            #[inline(always)]
            fn from_registers(register: impl Fn(usize) -> usize) -> Self {
                ($($name::from_register(register($n)),)*)
            }
        }
    };
}

impl FromRegisters for () {
    const COUNT: usize = 0;

    #[inline(always)]
    fn from_registers(_: impl Fn(usize) -> usize) -> Self {}
}

from_registers!(A = 0);
from_registers!(A = 0, B = 1);
from_registers!(A = 0, B = 1, C = 2);
from_registers!(A = 0, B = 1, C = 2, D = 3);
from_registers!(A = 0, B = 1, C = 2, D = 3, E = 4);
from_registers!(A = 0, B = 1, C = 2, D = 3, E = 4, F = 5);
