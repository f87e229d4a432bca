// SPDX-License-Identifier: GPL-2.0

//! Non-faulting reads of kernel and user memory.
//!
//! C header: [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h)
//!
//! A pointer in a CPU register may be wrong, so these types cannot be dereferenced. Reading through
//! them never faults and never sleeps. It fails with `EFAULT` if the memory is not mapped or has
//! been paged out.
//!
//! Context: any.
//!
//! Non-faulting readers in `kernel::uaccess` would replace it; those of Linux 7.3 (`UserSlice`) may
//! sleep, and are for user memory only.

use crate::args::{from_address, FromWord, OrErrno};
use crate::kernel_ext::symbol::Address;
use crate::prelude::*;
use kernel::page::PAGE_SIZE;
use kernel::transmute::FromBytes;

display_by_core!([T] KernelPtr<T>, [] Text<'_>, [const MAX: usize] Shown<MAX>);

/// The largest value that is read onto the stack, in bytes.
///
/// Handlers run on the stack of the probed code, of 16 KiB or less, and the kernel warns of
/// functions that use 1 or 2 KiB of it (`CONFIG_FRAME_WARN`).
const MAX_AT_ONCE: usize = 1024;

/// Returns the index of the first NUL, which it looks for in eight bytes at a time.
#[inline]
fn find_nul(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);

    let mut words = bytes.chunks_exact(8);
    let mut at = 0;
    for word in &mut words {
        let Ok(word) = word.try_into() else { break };
        let word = u64::from_le_bytes(word);
        // The lowest bit that is set is that of the first NUL.
        let nul = word.wrapping_sub(ONES) & !word & HIGH;
        if nul != 0 {
            return Some(at + nul.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let nul = words.remainder().iter().position(|&b| b == 0);
    nul.map(|n| at + n)
}

/// Copies bytes to the first from the second pointer, which it checks; 0 if it has.
type CopyFn = unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> c_long;

/// An address space: user or kernel.
trait Space {
    const COPY: CopyFn;

    /// Copies `len` bytes from `addr` to `to`, or fails with `EFAULT`. (For an address that is not
    /// the kernel's, the kernel has ERANGE.)
    ///
    /// # Safety
    ///
    /// `to` must be valid for writing `len` bytes.
    #[inline(always)]
    unsafe fn copy(to: *mut u8, addr: usize, len: usize) -> Result {
        // SAFETY: By the safety requirements.
        match unsafe { Self::COPY(to.cast(), addr as *const c_void, len) } {
            0 => Ok(()),
            _ => Err(EFAULT),
        }
    }

    /// Reads a string up to its NUL or to the end of `buf` and returns its length. No access
    /// crosses a page boundary, so a string that ends before an unmapped page can be read.
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

    /// Reads a string with [`Space::copy_str`]. Returns how much of it is in `buf`, and whether
    /// there is more.
    #[inline(always)]
    fn read_str(addr: usize, buf: &mut [u8]) -> Result<(usize, bool)> {
        let len = Self::copy_str(addr, buf)?;
        let cut = len == buf.len() && Self::goes_on(addr.wrapping_add(len));
        Ok((len, cut))
    }

    /// Returns whether a string that fills its buffer goes on at `addr`, where its NUL may be.
    #[cold]
    #[inline]
    fn goes_on(addr: usize) -> bool {
        let mut next = 0;
        // SAFETY: `next` is one byte long.
        unsafe { Self::copy(&raw mut next, addr, 1) }.is_err() || next != 0
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
            /// Creates a pointer to that address.
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

            /// Returns a pointer to the field at offset `bytes`, of another type.
            pub const fn field<U>(self, bytes: usize) -> $name<U> {
                $name::new(self.0.wrapping_add(bytes))
            }

            /// Returns a pointer to the `n`th element of an array that starts here.
            pub const fn element(self, n: usize) -> Self {
                const { assert!(size_of::<T>() > 0, "the size of the elements is not known") };
                Self::new(self.0.wrapping_add(n.wrapping_mul(size_of::<T>())))
            }

            /// Reads the value. It is at most 1024 bytes large, because it is on the stack of the
            /// probed code; anything larger does not compile.
            ///
            /// Errors: `EFAULT` if it cannot be read.
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
                let mut value = MaybeUninit::<T>::uninit();
                // SAFETY: `value` is `size_of::<T>()` bytes long.
                unsafe { $space::copy(value.as_mut_ptr().cast(), self.0, size_of::<T>())? };
                // SAFETY: It has been copied, and all bit patterns are valid for `FromBytes` types.
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

        // SAFETY: It is an address, and each address is a valid value.
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
    /// Reading does not fetch a page that is not present, and fails with `EFAULT` there. That
    /// happens most often at the entry of a system call, before the kernel has read its arguments,
    /// see [`UserStr`]. Probe a function that has the kernel's copy, such as
    /// `security_socket_connect()` for the address of connect(2), or read at the return.
    UserPtr, User
}

pointer! {
    /// A pointer to kernel memory.
    ///
    /// Reading a device's registers can have effects. On x86-64, a read fails with `EFAULT` where a
    /// device may be mapped (the vmalloc area and the fixmap) and the page is not write-back
    /// cached. This check costs 206 instructions there, for each page, 17 on the stack of the
    /// current task, and 6 elsewhere. It does not find a device that is mapped as cached memory. On
    /// arm64 and riscv64 there is no such check, so do not read an address that may be a device's.
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
            /// A string that does not fit is cut to the length of `buf`, see [`Text::is_cut`].
            ///
            /// Errors: `EFAULT` if a part of what fits cannot be read.
            #[inline(always)]
            pub fn read(self, buf: &mut [u8]) -> Result<Text<'_>> {
                let (len, cut) = $space::read_str(self.0, buf)?;
                let bytes = &buf[..len];
                Ok(Text { bytes, cut })
            }

            /// Returns the length of the string without its NUL, or `max` if it is longer.
            ///
            /// Errors: `EFAULT` if a part of these bytes cannot be read.
            #[inline]
            pub fn length(self, max: usize) -> Result<usize> {
                $space::str_len(self.0, max)
            }

            /// Reads up to `MAX` bytes of the string for display: followed by `...` if it is
            /// longer, and as `(fault)` if it cannot be read, like tracefs. `MAX` is at most 1024,
            /// because the bytes are on the stack of the probed code; anything larger does not
            /// compile.
            #[inline]
            pub fn show<const MAX: usize>(self) -> Shown<MAX> {
                const { assert!(MAX <= MAX_AT_ONCE, "at most 1024 bytes are shown at once") };
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
    /// Reading does not fetch a page that is not present. At the entry of a system call, the kernel
    /// has not read its arguments yet: a path in a page that the program has not touched, or that
    /// was paged out, cannot be read, and is displayed as `(fault)`. Another thread can also change
    /// the string before the kernel reads it. Read the kernel's own copy instead, a
    /// [`Filename`](crate::Filename) or an [`Exec`](crate::Exec), or read at the return, when the
    /// kernel has fetched the page.
    UserStr, User
}

string! {
    /// A C string in kernel memory.
    KernelStr, Kernel
}

/// A string that was read, or as much of it as fits into the buffer.
///
/// Displaying it escapes unprintable characters; `...` follows if it is cut.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    bytes: &'a [u8],
    cut: bool,
}

impl<'a> Text<'a> {
    /// Returns whether the string is longer.
    #[inline(always)]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Returns its bytes, without the NUL.
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

/// A string that was read, for display. Unprintable characters are escaped.
pub struct Shown<const MAX: usize> {
    bytes: [u8; MAX],
    /// How many of them were read, and whether the string is longer.
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
