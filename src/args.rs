// SPDX-License-Identifier: GPL-2.0

//! From the content of a register to a value of a type.

/// A type that a C function takes or returns in one register.
///
/// Narrow types take the low bits: a caller may leave anything above them.
pub trait FromRegister: Sized {
    /// Reads the value out of the register's content.
    fn from_register(register: usize) -> Self;
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
