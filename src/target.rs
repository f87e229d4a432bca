// SPDX-License-Identifier: GPL-2.0

//! Where a probe goes: a symbol, an offset into it, or an address.

use crate::bindings;
use kernel::prelude::*;

/// A place in the kernel's text that a probe can be put on.
///
/// It borrows the symbol's name only until the probe is registered.
///
/// The kernel takes the first of several symbols of one name, and a module
/// cannot find out that there were several (`kallsyms_on_each_match_symbol()`
/// is not exported): name a static function that exists twice by address.
///
/// # Examples
///
/// ```
/// use kprobes::Target;
///
/// let entry = Target::symbol(c"kernel_clone");
/// let inside = Target::symbol(c"kernel_clone").offset(0x10);
/// let in_module = Target::symbol(c"veth:veth_xmit");
/// ```
#[derive(Clone, Copy)]
pub struct Target<'a> {
    at: At<'a>,
    offset: u32,
}

#[derive(Clone, Copy)]
enum At<'a> {
    Symbol(&'a CStr),
    Address(usize),
}

impl<'a> Target<'a> {
    /// The entry of the function `name`, which may be `MODULE:name`.
    ///
    /// Registering fails with `ENOENT` where no such symbol is loaded.
    pub const fn symbol(name: &'a CStr) -> Self {
        Self {
            at: At::Symbol(name),
            offset: 0,
        }
    }

    /// The address `addr` in the kernel's or a module's text.
    ///
    /// Registering fails with `ENOENT` outside every symbol, and with `EINVAL`
    /// outside of text.
    pub const fn address(addr: usize) -> Self {
        Self {
            at: At::Address(addr),
            offset: 0,
        }
    }

    /// The place `bytes` further on.
    ///
    /// It must be the first byte of an instruction: registering fails with
    /// `EILSEQ` or `EINVAL` where it is not.
    pub const fn offset(mut self, bytes: u32) -> Self {
        self.offset = bytes;
        self
    }

    /// Writes into `kp` where the probe goes.
    ///
    /// `kp` then points at the name, which only the caller knows the life of.
    pub(crate) fn fill(&self, kp: &mut bindings::kprobe) {
        match self.at {
            At::Symbol(name) => kp.symbol_name = name.as_char_ptr(),
            At::Address(addr) => kp.addr = addr as *mut bindings::kprobe_opcode_t,
        }
        kp.offset = self.offset;
    }
}

/// A C string from one in Rust that ends with NUL, for the macros: the kernel
/// crate's `c_str!` finds what a user calls `concat!`.
#[doc(hidden)]
#[inline]
pub const fn __c_str(name: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("no C string"),
    }
}

/// The [`Target`] that is the entry point of a system call, which is named after
/// the architecture: `__x64_sys_*` on x86-64, `__arm64_sys_*` on arm64.
///
/// Its arguments are those of [`Context::syscall_args`](crate::Context::syscall_args).
///
/// # Examples
///
/// ```
/// use kprobes::Target;
///
/// const EXECVE: Target<'static> = kprobes::syscall!("execve");
/// ```
#[macro_export]
macro_rules! syscall {
    ($name:literal) => {
        $crate::Target::symbol(const { $crate::__c_str($crate::__syscall_symbol!($name)) })
    };
}
