// SPDX-License-Identifier: GPL-2.0

//! Memory behind a pointer that may be wrong, of the kernel or of a program.
//!
//! C header: [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h)
//!
//! A pointer that is found in a register points where somebody says it does.
//! These types do not let it be dereferenced. Reading through them never faults
//! and never sleeps, so a handler may do it: what is not there, or has been
//! paged out, is `EFAULT`.

use crate::{
    args::{
        FromWord,
        OrErrno, //
    },
    bindings,
    kernel_ext::symbol::Address,
    regs, //
};
use core::{
    marker::PhantomData,
    mem::{
        size_of,
        MaybeUninit, //
    }, //
};
use kernel::{
    fmt,
    page::PAGE_SIZE,
    prelude::*,
    str::BStr,
    transmute::FromBytes, //
};

/// The most that is read at once into a value, in bytes.
///
/// Handlers run on the stack of whoever was interrupted, of 16 KiB or less, and
/// the kernel is built to warn of functions that take 1 or 2 KiB of it
/// (`CONFIG_FRAME_WARN`).
const MAX_AT_ONCE: usize = 1024;

/// Where an address points.
trait Space {
    /// Copies `len` bytes from `addr` to `to`, or fails with `EFAULT`.
    ///
    /// # Safety
    ///
    /// `to` must be valid for writing `len` bytes.
    unsafe fn copy(to: *mut u8, addr: usize, len: usize) -> Result;

    /// Reads a string, up to its NUL or to the end of `buf`, whichever comes
    /// first. No access crosses a page, so that a string that ends before an
    /// unmapped one is read.
    fn copy_str(mut addr: usize, buf: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            let to_page_end = PAGE_SIZE - addr % PAGE_SIZE;
            let rest = &mut buf[done..];
            let len = rest.len().min(to_page_end);
            let chunk = &mut rest[..len];
            // SAFETY: `chunk` is `len` bytes long.
            unsafe { Self::copy(chunk.as_mut_ptr(), addr, len)? };
            if let Some(nul) = chunk.iter().position(|&b| b == 0) {
                return Ok(done + nul);
            }
            done += len;
            addr = addr.wrapping_add(len);
        }
        Ok(done)
    }

    /// Reads a string as [`Space::copy_str`] does, to be shown.
    fn show<const MAX: usize>(addr: usize) -> Shown<MAX> {
        let mut bytes = [0; MAX];
        let len = Self::copy_str(addr, &mut bytes).ok();
        // What fills the buffer may just fit, with its NUL behind it.
        let cut = len == Some(MAX) && {
            let mut next = [0];
            !matches!(Self::copy_str(addr.wrapping_add(MAX), &mut next), Ok(0))
        };
        Shown { bytes, len, cut }
    }
}

struct User;
impl Space for User {
    #[inline(always)]
    unsafe fn copy(to: *mut u8, addr: usize, len: usize) -> Result {
        // SAFETY: `to` is valid by this function's contract; the function checks the address.
        let failed =
            unsafe { bindings::copy_from_user_nofault(to.cast(), addr as *const c_void, len) };
        // It fails with EFAULT and nothing else.
        if failed == 0 {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }
}

struct Kernel;
impl Space for Kernel {
    #[inline(always)]
    unsafe fn copy(to: *mut u8, addr: usize, len: usize) -> Result {
        if !regs::is_kernel_address(addr) {
            return Err(EFAULT);
        }
        // SAFETY: `to` is valid by this function's contract; the function checks the address.
        let failed =
            unsafe { bindings::copy_from_kernel_nofault(to.cast(), addr as *const c_void, len) };
        // ERANGE is an address that is no kernel's, which is as little there.
        if failed == 0 {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }
}

macro_rules! pointer {
    ($(#[$doc:meta])* $name:ident, $space:ident) => {
        $(#[$doc])*
        pub struct $name<T = c_void>(usize, PhantomData<fn() -> T>);

        impl<T> $name<T> {
            /// A pointer to that address.
            #[inline]
            pub const fn new(addr: usize) -> Self {
                Self(addr, PhantomData)
            }

            /// The address. Do not print it.
            #[inline]
            pub const fn addr(self) -> usize {
                self.0
            }

            /// Whether it is the null pointer.
            #[inline]
            pub const fn is_null(self) -> bool {
                self.0 == 0
            }

            /// The pointer to what lies `bytes` further on, of another type.
            #[inline]
            pub const fn field<U>(self, bytes: usize) -> $name<U> {
                $name::new(self.0.wrapping_add(bytes))
            }

            /// The pointer to the `n`th element of an array that begins here.
            #[inline]
            pub const fn element(self, n: usize) -> Self {
                Self::new(self.0.wrapping_add(n.wrapping_mul(size_of::<T>())))
            }

            /// Fills `to` with what the pointer points at.
            #[allow(dead_code, reason = "one of the two spaces does not use it")]
            #[inline(always)]
            pub(crate) fn read_raw(self, to: &mut MaybeUninit<T>) -> Result {
                // SAFETY: `to` is `size_of::<T>()` bytes long.
                unsafe { $space::copy(to.as_mut_ptr().cast(), self.0, size_of::<T>()) }
            }

            /// Reads what the pointer points at, of at most 1024 bytes: it goes on the
            /// stack of whoever was probed. More does not compile.
            ///
            /// # Errors
            ///
            /// `EFAULT` where that is not there.
            #[inline(always)]
            pub fn read(self) -> Result<T>
            where
                T: FromBytes,
            {
                const {
                    assert!(
                        size_of::<T>() <= MAX_AT_ONCE,
                        "at most 1024 bytes are read at once"
                    )
                };
                let mut value = MaybeUninit::uninit();
                self.read_raw(&mut value)?;
                // SAFETY: All of it is written, and every content is a value of a `FromBytes`.
                Ok(unsafe { value.assume_init() })
            }
        }

        impl<T> Clone for $name<T> {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<T> Copy for $name<T> {}

        impl<T> PartialEq for $name<T> {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }

        impl<T> FromWord for $name<T> {
            #[inline(always)]
            fn from_word(register: usize) -> Self {
                Self::new(register)
            }
        }
    };
}

pointer! {
    /// A pointer into the memory of the current program.
    UserPtr, User
}

pointer! {
    /// A pointer into the kernel's memory.
    KernelPtr, Kernel
}

/// As [`Address`] is displayed: hashed.
impl<T> fmt::Display for KernelPtr<T> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Address::new(self.addr()), f)
    }
}

impl<T> OrErrno for KernelPtr<T> {
    #[inline(always)]
    fn signed(register: usize) -> isize {
        register as isize
    }
}

macro_rules! string {
    ($(#[$doc:meta])* $name:ident, $space:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq)]
        pub struct $name(usize);

        impl $name {
            /// A string that begins at that address.
            #[inline]
            pub const fn new(addr: usize) -> Self {
                Self(addr)
            }

            /// The address. Do not print it.
            #[inline]
            pub const fn addr(self) -> usize {
                self.0
            }

            /// Reads the string into `buf`, and returns it without its NUL.
            ///
            /// A string that is longer than `buf` is cut: the result is as
            /// long as `buf` then. Displaying the result escapes what is not
            /// printable.
            ///
            /// # Errors
            ///
            /// `EFAULT` where the string is not there, or runs into memory
            /// that is not there.
            #[inline]
            pub fn read(self, buf: &mut [u8]) -> Result<&BStr> {
                let len = $space::copy_str(self.0, buf)?;
                Ok(BStr::from_bytes(&buf[..len]))
            }

            /// Displays up to `MAX` bytes of the string, with `...` where it
            /// goes on, and `(fault)` where it cannot be read, as tracefs does.
            /// `MAX` is at most 1024: the bytes go on the stack of whoever was
            /// probed. More does not compile.
            #[inline]
            pub fn show<const MAX: usize>(self) -> Shown<MAX> {
                const { assert!(MAX <= MAX_AT_ONCE, "at most 1024 bytes are shown at once") };
                $space::show(self.0)
            }
        }

        impl FromWord for $name {
            #[inline(always)]
            fn from_word(register: usize) -> Self {
                Self(register)
            }
        }
    };
}

string! {
    /// A C string in the memory of the current program.
    UserStr, User
}

string! {
    /// A C string in the kernel's memory.
    KernelStr, Kernel
}

/// A string that was read, for a log line; what is not printable is escaped.
pub struct Shown<const MAX: usize> {
    bytes: [u8; MAX],
    len: Option<usize>,
    cut: bool,
}

impl<const MAX: usize> fmt::Display for Shown<MAX> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(len) = self.len else {
            return f.write_str("(fault)");
        };
        fmt::Display::fmt(BStr::from_bytes(&self.bytes[..len]), f)?;
        f.write_str(if self.cut { "..." } else { "" })
    }
}
