// SPDX-License-Identifier: GPL-2.0

//! The place to probe: a symbol, an offset into it, or an address.

use crate::{
    bindings,
    registration::{
        self,
        Plan,
        Round, //
    }, //
};
use kernel::prelude::*;

/// An instruction in the text of the kernel or a module.
///
/// It borrows the symbol's name only until the probe is registered.
///
/// If several symbols have the same name, the kernel takes the first. A module
/// cannot detect that, because `kallsyms_on_each_match_symbol()` is not exported.
/// Use the address for a static function whose name is not unique.
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
    disabled: bool,
}

#[derive(Clone, Copy)]
enum At<'a> {
    Symbol(&'a CStr),
    Address(usize),
}

impl<'a> Target<'a> {
    /// The entry of the function `name`, or `MODULE:name`.
    ///
    /// Registration fails with `ENOENT` if there is no such symbol.
    pub const fn symbol(name: &'a CStr) -> Self {
        Self {
            at: At::Symbol(name),
            offset: 0,
            disabled: false,
        }
    }

    /// The address `addr`.
    ///
    /// Registration fails with `ENOENT` if it is not in any symbol, and with
    /// `EINVAL` if it is not in text.
    pub const fn address(addr: usize) -> Self {
        Self {
            at: At::Address(addr),
            offset: 0,
            disabled: false,
        }
    }

    /// Adds an offset in bytes.
    ///
    /// Registration fails with `EILSEQ` or `EINVAL` if the result is not at an
    /// instruction boundary.
    pub const fn offset(mut self, bytes: u32) -> Self {
        self.offset = bytes;
        self
    }

    /// Has the probe registered disabled. It has no hits, and costs nothing, until it
    /// is enabled, by [`Probe::enable`](crate::Probe::enable),
    /// [`entry::Probe::enable`](crate::entry::Probe::enable) or an [event that it is armed
    /// by](crate::event::Armed).
    pub const fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    #[inline(always)]
    pub(crate) const fn is_disabled(&self) -> bool {
        self.disabled
    }

    /// Registers a kprobe here, disabled and without a handler, and unregisters it.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// Those of [`Kprobe::new`](crate::Kprobe::new), but for that of arming it, and of
    /// lying on the stack.
    #[inline]
    pub fn check(self) -> Result {
        registration::try_out(self)
    }

    /// Whether it is a symbol or an address as it is, without an offset.
    #[inline]
    pub(crate) const fn is_entry(&self) -> bool {
        self.offset == 0
    }

    /// Sets the target of `kp`.
    ///
    /// `kp` may point at the symbol's name; the caller keeps it alive until
    /// registration.
    pub(crate) fn fill(&self, kp: &mut bindings::kprobe) {
        match self.at {
            At::Symbol(name) => kp.symbol_name = name.as_char_ptr(),
            At::Address(addr) => kp.addr = addr as *mut bindings::kprobe_opcode_t,
        }
        kp.offset = self.offset;
    }
}

// SAFETY: It sets no callbacks.
unsafe impl Plan<bindings::kprobe> for Target<'_> {
    #[inline]
    fn fill(&self, kp: &mut bindings::kprobe, _round: Round) {
        Target::fill(self, kp);
    }

    #[inline]
    unsafe fn settle(&self, _kp: *mut bindings::kprobe) -> Result<Round> {
        Ok(Round::First)
    }
}

/// Converts a Rust string that ends with a NUL, for the macros. The kernel crate's
/// `c_str!` would use a `concat!` that the user has defined.
#[doc(hidden)]
#[inline]
pub const fn __c_str(name: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("no C string"),
    }
}

/// The [`Target`] for the entry point of a system call: `__x64_sys_*` on x86-64,
/// `__arm64_sys_*` on arm64.
///
/// Use [`Context::syscall_args`](crate::Context::syscall_args) for its arguments.
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
