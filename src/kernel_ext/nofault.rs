// SPDX-License-Identifier: GPL-2.0

//! Non-faulting reads of kernel and user memory.
//!
//! C header: [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h)
//!
//! A pointer in a CPU register may be invalid, so these types can only be read by a copy, which
//! never faults and never sleeps. It fails with `EFAULT` if the memory is not present.
//!
//! Context: any.
//!
//! Non-faulting readers in `kernel::uaccess` would replace this file. `UserSlice` of Linux 7.3 may
//! sleep, and reads only user memory.

use crate::args::{from_address, FromWord, OrErrno};
use crate::kernel_ext::symbol::Address;
use crate::prelude::*;
use kernel::page::PAGE_SIZE;
use kernel::transmute::FromBytes;

display_by_core!([T] KernelPtr<T>, [] Text<'_>, [const MAX: usize] Shown<MAX>);

/// The largest value that is read onto the stack, in bytes.
///
/// Handlers run on the stack of the probed code, of 16 KiB or less, and the compiler warns of
/// functions that use 1 or 2 KiB of it (`CONFIG_FRAME_WARN`).
const MAX_SIZE: usize = 1024;

/// Returns the index of the first NUL. Checks eight bytes at a time.
#[inline]
fn find_nul(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);

    let mut words = bytes.chunks_exact(8);
    let mut at = 0;
    for word in &mut words {
        let Ok(word) = word.try_into() else { break };
        let word = u64::from_le_bytes(word);
        // The lowest set bit is in the byte of the first NUL.
        let nul = word.wrapping_sub(ONES) & !word & HIGH;
        if nul != 0 {
            return Some(at + nul.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let nul = words.remainder().iter().position(|&b| b == 0);
    nul.map(|n| at + n)
}

/// `copy(to, from, len)`, which returns 0 on success.
type CopyFn = unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> c_long;

/// An address space: user or kernel.
trait Space {
    const COPY: CopyFn;

    /// Copies `len` bytes from `addr` to `to`. Any error is `EFAULT`.
    ///
    /// # Safety
    ///
    /// `to` must be valid for writes of `len` bytes.
    #[inline(always)]
    unsafe fn copy(to: *mut u8, addr: usize, len: usize) -> Result {
        // SAFETY: By the safety requirements, `to` is valid. The function checks `addr`.
        match unsafe { Self::COPY(to.cast(), addr as *const c_void, len) } {
            0 => Ok(()),
            // `copy_from_kernel_nofault()` may fail with `ERANGE`.
            _ => Err(EFAULT),
        }
    }

    /// Reads a string up to its NUL or the end of `buf`, and returns its length. Reads page by
    /// page, because the page after the NUL may not be present.
    #[inline(always)]
    fn copy_str(mut addr: usize, buf: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            let to_page_end = PAGE_SIZE - addr % PAGE_SIZE;
            let rest = &mut buf[done..];
            let len = rest.len().min(to_page_end);
            let chunk = &mut rest[..len];
            // SAFETY: `chunk` is `len` bytes long.
            unsafe { Self::copy(chunk.as_mut_ptr(), addr, len)? };
            if let Some(nul) = find_nul(chunk) {
                return Ok(done + nul);
            }
            done += len;
            addr = addr.wrapping_add(len);
        }
        Ok(done)
    }

    /// Reads a string with [`Space::copy_str`]. Returns its length in `buf`, and whether it is
    /// truncated.
    #[inline(always)]
    fn read_str(addr: usize, buf: &mut [u8]) -> Result<(usize, bool)> {
        let len = Self::copy_str(addr, buf)?;
        let cut = len == buf.len() && !Self::is_nul(addr.wrapping_add(len));
        Ok((len, cut))
    }

    /// Returns whether a NUL can be read at `addr`.
    #[cold]
    #[inline]
    fn is_nul(addr: usize) -> bool {
        let mut next = 0;
        // SAFETY: `next` is one byte long.
        unsafe { Self::copy(&raw mut next, addr, 1) }.is_ok() && next == 0
    }

    /// Returns the length of a string, or `max` if it is longer.
    fn str_len(addr: usize, max: usize) -> Result<usize> {
        let mut part = [0; 128];
        let mut done = 0;
        while done < max {
            let room = part.len().min(max - done);
            let len = Self::copy_str(addr.wrapping_add(done), &mut part[..room])?;
            done += len;
            if len < room {
                break;
            }
        }
        Ok(done)
    }
}

struct User;
impl Space for User {
    const COPY: CopyFn = bindings::copy_from_user_nofault;
}

struct Kernel;
impl Space for Kernel {
    const COPY: CopyFn = bindings::kprobes_read_kernel;
}

macro_rules! pointer {
    ($(#[$doc:meta])* $name:ident, $space:ident) => {
        $(#[$doc])*
        pub struct $name<T = c_void>(usize, PhantomData<fn() -> T>);

        impl<T> $name<T> {
            /// Creates a pointer to the address `addr`.
            pub const fn new(addr: usize) -> Self {
                Self(addr, PhantomData)
            }

            /// Returns the address. Do not print it.
            pub const fn addr(self) -> usize {
                self.0
            }

            /// Returns whether this is the null pointer.
            pub const fn is_null(self) -> bool {
                self.0 == 0
            }

            /// Returns a pointer to the field of type `U` at offset `bytes`.
            pub const fn field<U>(self, bytes: usize) -> $name<U> {
                $name::new(self.0.wrapping_add(bytes))
            }

            /// Returns a pointer to the `n`th element of an array that starts here.
            pub const fn element(self, n: usize) -> Self {
                const { assert!(size_of::<T>() > 0, "the elements must not be zero-sized") };
                Self::new(self.0.wrapping_add(n.wrapping_mul(size_of::<T>())))
            }

            /// Reads the value onto the stack of the probed code. A type of more than 1024 bytes
            /// does not compile.
            ///
            /// Errors: `EFAULT` if it cannot be read.
            #[inline(always)]
            pub fn read(self) -> Result<T>
            where
                T: FromBytes,
            {
                const {
                    assert!(
                        size_of::<T>() <= MAX_SIZE,
                        "a read must not exceed 1024 bytes"
                    )
                };
                let mut value = MaybeUninit::<T>::uninit();
                // SAFETY: `value` is `size_of::<T>()` bytes long.
                unsafe { $space::copy(value.as_mut_ptr().cast(), self.0, size_of::<T>())? };
                // SAFETY: The copy has written it, and any bytes are a valid `T: FromBytes`.
                Ok(unsafe { value.assume_init() })
            }
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<T> Copy for $name<T> {}

        impl<T> PartialEq for $name<T> {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }

        // SAFETY: Any address is a valid value.
        unsafe impl<T> FromBytes for $name<T> {}

        impl<T> FromWord for $name<T> {
            #[inline(always)]
            fn from_word(register: usize) -> Self {
                Self::new(register)
            }
        }
    };
}

pointer! {
    /// A pointer to user memory of the current task.
    ///
    /// Reading a page that is not present fails with `EFAULT`. This is frequent at the entry of a
    /// system call, before the kernel has read the arguments, see [`UserStr`]. Probe a function
    /// that gets the kernel's copy, such as `security_socket_connect()` for the address of
    /// connect(2), or read at the return.
    UserPtr, User
}

pointer! {
    /// A pointer to kernel memory.
    ///
    /// Reading the registers of a device can have side effects. On x86-64, reads of the vmalloc
    /// area and the fixmap, where devices are mapped, therefore fail with `EFAULT` unless the page
    /// is write-back cached. A device that is mapped as cached memory is not recognised. The check
    /// costs 206 instructions for each page there, 17 on the stack of the current task, and 6
    /// elsewhere. Other architectures have no check: do not read an address that may be a device's.
    KernelPtr, Kernel
}

/// Hashed, like [`Address`].
impl<T> fmt::Display for KernelPtr<T> {
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
        from_address!($name, |addr| Self(addr));

        impl $name {
            /// Returns the address. Do not print it.
            #[inline]
            pub const fn addr(self) -> usize {
                self.0
            }

            /// Reads the string into `buf` and returns it without its NUL.
            ///
            /// A string that does not fit is truncated, see [`Text::is_cut`].
            ///
            /// Errors: `EFAULT` if a part that fits cannot be read.
            #[inline(always)]
            pub fn read(self, buf: &mut [u8]) -> Result<Text<'_>> {
                let (len, cut) = $space::read_str(self.0, buf)?;
                let bytes = &buf[..len];
                Ok(Text { bytes, cut })
            }

            /// Returns the length of the string without its NUL, or `max` if it is longer.
            ///
            /// Errors: `EFAULT` if a part of the string cannot be read.
            #[inline]
            pub fn length(self, max: usize) -> Result<usize> {
                $space::str_len(self.0, max)
            }

            /// Reads up to `MAX` bytes of the string for display, onto the stack of the probed
            /// code. A longer string is followed by `...`; one that cannot be read is displayed as
            /// `(fault)`, as in tracefs. A `MAX` of more than 1024 does not compile.
            #[inline]
            pub fn show<const MAX: usize>(self) -> Shown<MAX> {
                const { assert!(MAX <= MAX_SIZE, "a shown string must not exceed 1024 bytes") };
                let mut bytes = [0; MAX];
                let read = $space::read_str(self.0, &mut bytes).ok();
                Shown { bytes, read }
            }
        }
    };
}

string! {
    /// A C string in user memory of the current task.
    ///
    /// Reading a page that is not present fails with `EFAULT`. At the entry of a system call, the
    /// kernel has not read the arguments yet, so a path may be in a page that the program has not
    /// touched, or that was paged out. Another thread can also change the path before the kernel
    /// reads it. Read the kernel's copy instead, a [`Filename`](crate::Filename) or an
    /// [`Exec`](crate::Exec), or read at the return, when the page is present.
    UserStr, User
}

string! {
    /// A C string in kernel memory.
    KernelStr, Kernel
}

/// A string that was read, truncated if it did not fit into the buffer.
///
/// `Display` escapes unprintable characters and appends `...` to a truncated string.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    bytes: &'a [u8],
    cut: bool,
}

impl<'a> Text<'a> {
    /// Returns whether the string is truncated.
    #[inline(always)]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Returns the bytes of the string, without the NUL.
    #[inline(always)]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl fmt::Display for Text<'_> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(BStr::from_bytes(self.bytes), f)?;
        f.write_str(if self.cut { "..." } else { "" })
    }
}

/// A string that was read for display. `Display` escapes unprintable characters.
pub struct Shown<const MAX: usize> {
    bytes: [u8; MAX],
    /// The length of the string in `bytes`, and whether it is truncated; `None` after a fault.
    read: Option<(usize, bool)>,
}

impl<const MAX: usize> fmt::Display for Shown<MAX> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((len, cut)) = self.read else {
            return f.write_str("(fault)");
        };
        let bytes = &self.bytes[..len];
        fmt::Display::fmt(&Text { bytes, cut }, f)
    }
}
