// SPDX-License-Identifier: GPL-2.0

//! The types of a record's fields.

use crate::common::*;

/// How the kernel prints a field: `enum kprobes_event_kind`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    Unsigned = bindings::kprobes_event_kind_KPROBES_UNSIGNED,
    Signed = bindings::kprobes_event_kind_KPROBES_SIGNED,
    Hex = bindings::kprobes_event_kind_KPROBES_HEX,
    Pointer = bindings::kprobes_event_kind_KPROBES_POINTER,
    Symbol = bindings::kprobes_event_kind_KPROBES_SYMBOL,
    Chars = bindings::kprobes_event_kind_KPROBES_CHARS,
    String = bindings::kprobes_event_kind_KPROBES_STRING,
    Array = bindings::kprobes_event_kind_KPROBES_ARRAY,
}

/// The type of a field of a [`trace_event!`](crate::trace_event):
///
/// | type | in C | printed |
/// |---|---|---|
/// | `u8` to `u64`, `usize`, `i8` to `i64`, `isize` | the same; `s64` for `i64` | in decimal |
/// | `bool` | `unsigned char` | 0 or 1 |
/// | [`Hex`] of an unsigned integer | the same | in hexadecimal |
/// | `[T; N]` of integers | `T[N]` | `{0x1,0x2}` |
/// | [`Str`] | `__data_loc char[]` | escaped |
/// | [`Comm`] | `char[16]` | escaped |
/// | [`KernelPtr`], [`UserPtr`], [`Address`] | `void *` | hashed, like `%p` |
/// | [`Symbol`] | `void *` | as symbol and offset |
/// | [`Errno`] | `int` | in decimal |
/// | [`Pid`] | `pid_t` | in decimal |
///
/// tracefs prints fields in this way. perf and trace-cmd read the record, which has strings without
/// escapes and pointers without a hash. A field of a synthetic event takes a signed integer only if
/// both types have the same name.
///
/// # Safety
///
/// `store` must write `COUNT` elements of `SIZE` bytes without padding, which C aligns to `ALIGN`,
/// a power of two. `TYPE` must be their C type, as a C string. `tail()` must return the same value
/// each time, at most `MAX_TAIL`, and 0 only if `MAX_TAIL` is 0.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a trace event",
    label = "not a field type",
    note = "use an integer, `bool`, an array of integers, `Str`, `Hex`, `Comm`, a pointer, \
            `Symbol`, `Errno` or `Pid`"
)]
pub unsafe trait Field: Copy {
    #[doc(hidden)]
    const TYPE: &'static [u8];
    #[doc(hidden)]
    const KIND: Kind;
    /// The size of an element.
    #[doc(hidden)]
    const SIZE: usize;
    #[doc(hidden)]
    const ALIGN: usize = Self::SIZE;
    #[doc(hidden)]
    const COUNT: usize = 1;
    #[doc(hidden)]
    const SIGNED: bool = false;
    /// The largest `tail()`.
    #[doc(hidden)]
    const MAX_TAIL: usize = 0;

    /// Returns the number of bytes that the field has at the end of the record.
    #[doc(hidden)]
    #[inline(always)]
    fn tail(self) -> usize {
        0
    }

    /// Writes the field to `to`, and its tail at the offset `at` of `record`. Advances `at`.
    ///
    /// # Safety
    ///
    /// `to` must be valid for writing `COUNT * SIZE` bytes, and `record` for writing `tail()` bytes
    /// from `at` on. `to` may be unaligned.
    #[doc(hidden)]
    unsafe fn store(self, to: *mut u8, record: *mut u8, at: &mut usize);
}

/// An integer, which can be an element of an array.
pub trait Integer: Field {}

macro_rules! integers {
    ($($type:ty),*) => { $(impl Integer for $type {})* };
}

integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

/// Implements [`Field`] for types that are stored as an integer.
macro_rules! as_integers {
    ($([$($param:ident)?] $type:ty: $stored:ty, $c:expr, $kind:ident, $signed:literal,
        |$this:ident| $value:expr;)*
    ) => {
        $(
            // SAFETY: `store` writes an integer, which has no padding.
            unsafe impl<$($param)?> Field for $type {
                const TYPE: &'static [u8] = $c;
                const KIND: Kind = Kind::$kind;
                const SIZE: usize = size_of::<$stored>();
                const SIGNED: bool = $signed;

                #[inline(always)]
                unsafe fn store(self, to: *mut u8, _record: *mut u8, _at: &mut usize) {
                    let $this = self;
                    let value: $stored = $value;
                    // SAFETY: By the safety requirements, `to` is valid for writing.
                    unsafe { to.cast::<$stored>().write_unaligned(value) };
                }
            }
        )*
    };
}

as_integers! {
    [] u8: u8, b"unsigned char\0", Unsigned, false, |this| this;
    [] u16: u16, b"unsigned short\0", Unsigned, false, |this| this;
    [] u32: u32, b"unsigned int\0", Unsigned, false, |this| this;
    [] u64: u64, b"unsigned long long\0", Unsigned, false, |this| this;
    [] usize: usize, b"unsigned long\0", Unsigned, false, |this| this;
    [] i8: i8, b"signed char\0", Signed, true, |this| this;
    [] i16: i16, b"short\0", Signed, true, |this| this;
    [] i32: i32, b"int\0", Signed, true, |this| this;
    [] i64: i64, b"s64\0", Signed, true, |this| this;
    [] isize: isize, b"long\0", Signed, true, |this| this;
    [] bool: u8, u8::TYPE, Unsigned, false, |this| u8::from(this);
    [T] KernelPtr<T>: usize, b"void *\0", Pointer, false, |this| this.addr();
    [T] UserPtr<T>: usize, b"void *\0", Pointer, false, |this| this.addr();
    [] Address: usize, b"void *\0", Pointer, false, |this| this.as_usize();
    [] Symbol: usize, b"void *\0", Symbol, false, |this| this.0.as_usize();
    [] Errno: i32, b"int\0", Signed, true, |this| this.0;
    [] Pid: i32, b"pid_t\0", Signed, true, |this| this.0;
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

/// The ID of a task, with the type that the kernel's events use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pid(pub kernel::task::Pid);

/// The result of a function: 0, or `-errno`.
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
    const TYPE: &'static [u8] = {
        assert!(Comm::SIZE == 16);
        b"char[16]\0"
    };
    const KIND: Kind = Kind::Chars;
    const SIZE: usize = 1;
    const COUNT: usize = Comm::SIZE;

    #[inline(always)]
    unsafe fn store(self, to: *mut u8, _record: *mut u8, _at: &mut usize) {
        // SAFETY: By the safety requirements, `to` is valid for writing.
        unsafe { to.cast::<[u8; Comm::SIZE]>().write(self.0) };
    }
}

/// A string of up to `MAX` bytes. A longer string is truncated and ends with `...`. The record has
/// the length of the string, not `MAX`.
#[derive(Clone, Copy)]
pub struct Str<'a, const MAX: usize> {
    bytes: &'a [u8],
    /// The length of the string in the record, including `ELLIPSIS` if it is truncated.
    len: usize,
}

/// The end of a truncated string.
const ELLIPSIS: &[u8] = b"...";

impl<'a, const MAX: usize> Str<'a, MAX> {
    /// Creates a string of these bytes.
    #[inline(always)]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::new_truncated(bytes, false)
    }

    /// Creates a string of these bytes. With `more`, it is truncated even if the bytes fit.
    #[inline(always)]
    fn new_truncated(bytes: &'a [u8], more: bool) -> Self {
        const { assert!(MAX >= ELLIPSIS.len(), "a `Str` must have at least 3 bytes") };
        if !more && bytes.len() <= MAX {
            let len = bytes.len();
            return Self { bytes, len };
        }
        let bytes = bytes.get(..MAX - ELLIPSIS.len()).unwrap_or(bytes);
        let len = bytes.len() + ELLIPSIS.len();
        Self { bytes, len }
    }
}

impl<'a, const MAX: usize> From<Text<'a>> for Str<'a, MAX> {
    #[inline(always)]
    fn from(text: Text<'a>) -> Self {
        Self::new_truncated(text.as_bytes(), text.is_cut())
    }
}

/// An error becomes `(fault)`, as in tracefs.
impl<'a, const MAX: usize> From<Result<Text<'a>>> for Str<'a, MAX> {
    #[inline(always)]
    fn from(read: Result<Text<'a>>) -> Self {
        read.map_or(Self::new(b"(fault)"), Self::from)
    }
}

impl<'a, const MAX: usize, T: AsRef<[u8]> + ?Sized> From<&'a T> for Str<'a, MAX> {
    #[inline(always)]
    fn from(bytes: &'a T) -> Self {
        Self::new(bytes.as_ref())
    }
}

// SAFETY: `store` writes a `u32`, and at `at` the string and a NUL, which are `tail()` bytes. The
// string has at most `MAX` bytes, including `ELLIPSIS`.
unsafe impl<const MAX: usize> Field for Str<'_, MAX> {
    const TYPE: &'static [u8] = b"__data_loc char[]\0";
    const KIND: Kind = Kind::String;
    const SIZE: usize = size_of::<u32>();
    const MAX_TAIL: usize = MAX + 1;

    #[inline(always)]
    fn tail(self) -> usize {
        self.len + 1
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8, record: *mut u8, at: &mut usize) {
        let place = ((self.len as u32 + 1) << 16) | *at as u32;
        // SAFETY: By the safety requirements, `to` is valid for writing, and `record` for writing
        // `len + 1` bytes from `at` on. `len` includes `ELLIPSIS` if it is copied.
        unsafe {
            to.cast::<u32>().write_unaligned(place);
            let text = record.add(*at);
            ptr::copy_nonoverlapping(self.bytes.as_ptr(), text, self.bytes.len());
            if self.len != self.bytes.len() {
                let end = text.add(self.len - ELLIPSIS.len());
                ptr::copy_nonoverlapping(ELLIPSIS.as_ptr(), end, ELLIPSIS.len());
            }
            text.add(self.len).write(0);
        }
        *at += self.len + 1;
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

// SAFETY: `store` writes an array of integers, which has no padding. `TYPE` ends with zeroes.
unsafe impl<T: Integer, const N: usize> Field for [T; N] {
    const TYPE: &'static [u8] = &ArrayOf::<T, N>::TYPE;
    const KIND: Kind = Kind::Array;
    const SIZE: usize = T::SIZE;
    const COUNT: usize = N;
    const SIGNED: bool = T::SIGNED;

    #[inline(always)]
    unsafe fn store(self, to: *mut u8, _record: *mut u8, _at: &mut usize) {
        // SAFETY: By the safety requirements, `to` is valid for writing.
        unsafe { to.cast::<Self>().write_unaligned(self) };
    }
}
