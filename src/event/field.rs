// SPDX-License-Identifier: GPL-2.0

//! What the fields of a record can be.

use crate::{
    bindings,
    kernel_ext::{
        nofault::{
            KernelPtr,
            UserPtr, //
        },
        symbol::Address, //
    },
    task::Comm, //
};
use core::ptr;
use kernel::{
    prelude::*,
    str::BStr, //
};

/// How the kernel prints a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Unsigned,
    Signed,
    Hex,
    Pointer,
    Symbol,
    Chars,
    String,
    Array,
}

impl Kind {
    pub(super) const fn c(self) -> u8 {
        (match self {
            Self::Unsigned => bindings::kprobes_event_kind_KPROBES_UNSIGNED,
            Self::Signed => bindings::kprobes_event_kind_KPROBES_SIGNED,
            Self::Hex => bindings::kprobes_event_kind_KPROBES_HEX,
            Self::Pointer => bindings::kprobes_event_kind_KPROBES_POINTER,
            Self::Symbol => bindings::kprobes_event_kind_KPROBES_SYMBOL,
            Self::Chars => bindings::kprobes_event_kind_KPROBES_CHARS,
            Self::String => bindings::kprobes_event_kind_KPROBES_STRING,
            Self::Array => bindings::kprobes_event_kind_KPROBES_ARRAY,
        }) as u8
    }
}

/// A type that a field of a [`trace_event!`](crate::trace_event) can have:
///
/// | type | in C | printed |
/// |---|---|---|
/// | `u8` to `u64`, `usize`, `i8` to `i64`, `isize` | the same | in decimal |
/// | `bool` | `unsigned char` | 0 or 1 |
/// | [`Hex`] of an unsigned integer | the same | in hexadecimal |
/// | `[T; N]` of integers | `T[N]` | `{0x1,0x2}` |
/// | [`Str`] | `__data_loc char[]` | escaped |
/// | [`Comm`] | `char[16]` | escaped |
/// | [`KernelPtr`], [`UserPtr`], [`Address`] | `void *` | hashed, like `%p` |
/// | [`Symbol`] | `void *` | as symbol and offset |
/// | [`Errno`] | `int` | in decimal |
///
/// This is what the kernel prints; perf and trace-cmd print from the record, where
/// strings and pointers are as they are.
///
/// # Safety
///
/// `TYPE` must end with a NUL and be the C type of `Stored`, which must have no padding and be
/// `COUNT` times `SIZE` bytes large. `store` must initialise `to`, and `tail()` bytes from `at`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a trace event",
    label = "not here",
    note = "integers, `bool`, arrays of integers, `Str`, `Hex`, `Comm`, pointers, `Symbol` and `Errno` can"
)]
pub unsafe trait Field: Copy {
    #[doc(hidden)]
    type Stored: Copy;
    #[doc(hidden)]
    const TYPE: &'static [u8];
    #[doc(hidden)]
    const KIND: Kind;
    /// The size of an element.
    #[doc(hidden)]
    const SIZE: usize = size_of::<Self::Stored>();
    #[doc(hidden)]
    const COUNT: usize = 1;
    #[doc(hidden)]
    const SIGNED: bool = false;
    /// The largest `tail()`.
    #[doc(hidden)]
    const MAX_TAIL: usize = 0;

    /// How many bytes it has at the end of the record.
    #[doc(hidden)]
    #[inline(always)]
    fn tail(self) -> usize {
        0
    }

    /// Writes the field, and its bytes at the end of the record from `at` on.
    ///
    /// # Safety
    ///
    /// `to` must be valid for writing, and `record` for writing `tail()` bytes from `at` on.
    #[doc(hidden)]
    unsafe fn store(self, to: *mut Self::Stored, record: *mut u8, at: &mut usize);
}

/// An integer, which can be an element of an array.
pub trait Integer: Field<Stored = Self> {}

macro_rules! integers {
    ($($type:ty: $c:literal, $kind:ident, $signed:literal;)*) => {
        $(
            // SAFETY: Integers have no padding, and `store` writes all of `to`.
            unsafe impl Field for $type {
                type Stored = Self;
                const TYPE: &'static [u8] = concat!($c, "\0").as_bytes();
                const KIND: Kind = Kind::$kind;
                const SIGNED: bool = $signed;

                #[inline(always)]
                unsafe fn store(self, to: *mut Self, _record: *mut u8, _at: &mut usize) {
                    // SAFETY: By the safety requirements, `to` is valid for writing.
                    unsafe { to.write(self) };
                }
            }

            impl Integer for $type {}
        )*
    };
}

integers! {
    u8: "unsigned char", Unsigned, false;
    u16: "unsigned short", Unsigned, false;
    u32: "unsigned int", Unsigned, false;
    u64: "unsigned long long", Unsigned, false;
    usize: "unsigned long", Unsigned, false;
    i8: "signed char", Signed, true;
    i16: "short", Signed, true;
    i32: "int", Signed, true;
    i64: "long long", Signed, true;
    isize: "long", Signed, true;
}

/// Fields that are stored as an integer.
macro_rules! as_integers {
    ($([$($param:ident)?] $type:ty: $stored:ty, $c:expr, $kind:ident, $signed:literal,
        |$this:ident| $value:expr;)*
    ) => {
        $(
            // SAFETY: Integers have no padding, and `store` writes all of `to`.
            unsafe impl<$($param)?> Field for $type {
                type Stored = $stored;
                const TYPE: &'static [u8] = $c;
                const KIND: Kind = Kind::$kind;
                const SIGNED: bool = $signed;

                #[inline(always)]
                unsafe fn store(self, to: *mut $stored, _record: *mut u8, _at: &mut usize) {
                    let $this = self;
                    // SAFETY: By the safety requirements, `to` is valid for writing.
                    unsafe { to.write($value) };
                }
            }
        )*
    };
}

as_integers! {
    [] bool: u8, u8::TYPE, Unsigned, false, |this| u8::from(this);
    [T] KernelPtr<T>: usize, b"void *\0", Pointer, false, |this| this.addr();
    [T] UserPtr<T>: usize, b"void *\0", Pointer, false, |this| this.addr();
    [] Address: usize, b"void *\0", Pointer, false, |this| this.as_usize();
    [] Symbol: usize, b"void *\0", Symbol, false, |this| this.0.as_usize();
    [] Errno: i32, b"int\0", Signed, true, |this| this.0;
    [] Hex<u8>: u8, u8::TYPE, Hex, false, |this| this.0;
    [] Hex<u16>: u16, u16::TYPE, Hex, false, |this| this.0;
    [] Hex<u32>: u32, u32::TYPE, Hex, false, |this| this.0;
    [] Hex<u64>: u64, u64::TYPE, Hex, false, |this| this.0;
    [] Hex<usize>: usize, usize::TYPE, Hex, false, |this| this.0;
}

/// An unsigned integer that is printed in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex<T>(pub T);

/// An address that is printed as symbol and offset, or hashed if there is no symbol.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Symbol(pub Address);

/// The outcome of a function: 0, or a negative error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(i32);

impl From<Error> for Errno {
    #[inline]
    fn from(error: Error) -> Self {
        Self(error.to_errno())
    }
}

impl<T> From<Result<T>> for Errno {
    #[inline]
    fn from(result: Result<T>) -> Self {
        Self(match result {
            Ok(_) => 0,
            Err(error) => error.to_errno(),
        })
    }
}

// SAFETY: `Comm` is `TASK_COMM_LEN` bytes, and `store` writes all of them.
unsafe impl Field for Comm {
    type Stored = [u8; Comm::SIZE];
    const TYPE: &'static [u8] = {
        assert!(Comm::SIZE == 16);
        b"char[16]\0"
    };
    const KIND: Kind = Kind::Chars;
    const SIZE: usize = 1;
    const COUNT: usize = Comm::SIZE;

    #[inline(always)]
    unsafe fn store(self, to: *mut Self::Stored, _record: *mut u8, _at: &mut usize) {
        // SAFETY: By the safety requirements, `to` is valid for writing.
        unsafe { to.write(self.into_bytes()) };
    }
}

/// A string of up to `MAX` bytes; what is longer is cut. Its bytes are at the end of
/// the record, which is as long as the string.
#[derive(Clone, Copy)]
pub struct Str<'a, const MAX: usize>(&'a [u8]);

impl<'a, const MAX: usize> Str<'a, MAX> {
    /// Creates a string of these bytes.
    #[inline(always)]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.get(..MAX).unwrap_or(bytes))
    }
}

impl<'a, const MAX: usize> From<&'a BStr> for Str<'a, MAX> {
    #[inline(always)]
    fn from(string: &'a BStr) -> Self {
        Self::new(string)
    }
}

/// What could not be read is `(fault)`, as in tracefs.
impl<'a, const MAX: usize> From<Result<&'a BStr>> for Str<'a, MAX> {
    #[inline(always)]
    fn from(read: Result<&'a BStr>) -> Self {
        read.map_or(Self::new(b"(fault)"), Self::from)
    }
}

impl<'a, const MAX: usize> From<&'a str> for Str<'a, MAX> {
    #[inline(always)]
    fn from(string: &'a str) -> Self {
        Self::new(string.as_bytes())
    }
}

impl<'a, const MAX: usize> From<&'a [u8]> for Str<'a, MAX> {
    #[inline(always)]
    fn from(bytes: &'a [u8]) -> Self {
        Self::new(bytes)
    }
}

// SAFETY: `store` writes all of `to`, and the bytes of the string with a NUL, which are `tail()`.
unsafe impl<const MAX: usize> Field for Str<'_, MAX> {
    type Stored = u32;
    const TYPE: &'static [u8] = b"__data_loc char[]\0";
    const KIND: Kind = Kind::String;
    const MAX_TAIL: usize = MAX + 1;

    #[inline(always)]
    fn tail(self) -> usize {
        self.0.len() + 1
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u32, record: *mut u8, at: &mut usize) {
        let len = self.0.len();
        // SAFETY: By the safety requirements, `to` is valid for writing, and `record` for writing
        // `len + 1` bytes from `at` on.
        unsafe {
            to.write(((len as u32 + 1) << 16) | *at as u32);
            let text = record.add(*at);
            ptr::copy_nonoverlapping(self.0.as_ptr(), text, len);
            text.add(len).write(0);
        }
        *at += len + 1;
    }
}

/// The C type of an array.
struct ArrayOf<T, const N: usize>([T; N]);

impl<T: Field, const N: usize> ArrayOf<T, N> {
    const TYPE: [u8; 40] = {
        let mut text = super::text::Text::<40>::new();
        text.push_until_nul(T::TYPE);
        text.push(b'[');
        text.push_number(N);
        text.push(b']');
        text.bytes
    };
}

// SAFETY: An array of integers has no padding, and `store` writes all of `to`. There are zeroes
// after the text of `TYPE`.
unsafe impl<T: Integer, const N: usize> Field for [T; N] {
    type Stored = Self;
    const TYPE: &'static [u8] = &ArrayOf::<T, N>::TYPE;
    const KIND: Kind = Kind::Array;
    const SIZE: usize = size_of::<T>();
    const COUNT: usize = N;
    const SIGNED: bool = T::SIGNED;

    #[inline(always)]
    unsafe fn store(self, to: *mut Self, _record: *mut u8, _at: &mut usize) {
        // SAFETY: By the safety requirements, `to` is valid for writing.
        unsafe { to.write(self) };
    }
}
