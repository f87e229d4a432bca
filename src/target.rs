// SPDX-License-Identifier: GPL-2.0

//! The target of a probe: a symbol, an offset from a symbol, or an address.

use crate::prelude::*;
use crate::probe::{may_come, Kind, Named};

/// The target of a probe: an instruction of the kernel or a module.
///
/// The probe uses the name of the symbol only until it is registered.
///
/// If several symbols have the same name, the kernel silently uses the first one. For a static
/// function whose name is not [unique](Target::is_unique), use the address.
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
    pub(crate) at: At<'a>,
    pub(crate) offset: u32,
}

#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    Symbol(&'a CStr),
    Address(usize),
}

impl<'a> Target<'a> {
    /// The entry of the function `name`, or `MODULE:name`.
    ///
    /// Registration fails with `ENOENT` if there is no such symbol, or if `MODULE` is not loaded. A
    /// [`Pending`](crate::Pending) waits for the module.
    pub const fn symbol(name: &'a CStr) -> Self {
        Self {
            at: At::Symbol(name),
            offset: 0,
        }
    }

    /// The address `addr`.
    ///
    /// Registration fails with `ENOENT` if it is not in any symbol, and with `EINVAL` if it is not
    /// in text.
    pub const fn address(addr: usize) -> Self {
        Self {
            at: At::Address(addr),
            offset: 0,
        }
    }

    /// Sets the offset in bytes.
    ///
    /// Registration fails with `EILSEQ` or `EINVAL` if the result is not at an instruction
    /// boundary. On arm64, the kernel cannot tell an instruction from data, such as a literal pool
    /// in assembly: a probe there overwrites the data with a breakpoint.
    pub const fn offset(mut self, bytes: u32) -> Self {
        self.offset = bytes;
        self
    }

    /// Sets the target of `kp`, which is all zeroes and borrows the name until it is registered.
    pub(crate) fn fill(&self, kp: &mut bindings::kprobe) {
        match self.at {
            At::Symbol(name) => kp.symbol_name = name.as_char_ptr(),
            At::Address(addr) => kp.addr = addr as *mut bindings::kprobe_opcode_t,
        }
        if self.offset != 0 {
            kp.offset = self.offset;
        }
    }
}

impl Target<'_> {
    /// Returns why a probe of the kind `K` was refused here, in words: `no such symbol`.
    #[inline(always)]
    pub fn reason<K: Kind>(self, error: Error) -> &'static CStr {
        if may_come::<Self>(self.name().0, error) {
            return c"no loaded module has it";
        }
        match error.to_errno().unsigned_abs() {
            bindings::ENOENT => c"no such symbol",
            bindings::EILSEQ => c"the offset is not the start of an instruction",
            bindings::EINVAL => K::INVALID,
            bindings::EEXIST => c"the function has another tracer",
            bindings::EBUSY => c"kernel.ftrace_enabled is 0",
            bindings::ENODEV => c"the kernel has disabled ftrace after an error",
            _ => c"the kernel refused",
        }
    }

    /// Logs the symbol that may be meant if this one is not there: one that was renamed, a system
    /// call, or a function that the compiler has changed; or else the command that lists similar
    /// names. Where the caller must not sleep, it logs nothing.
    #[inline]
    pub fn hint(self) {
        if let At::Symbol(name) = self.at {
            if !may_come::<Self>(self.name().0, ENOENT) {
                // SAFETY: The function only looks for symbols, and prints.
                unsafe { bindings::kprobes_hint(name.as_char_ptr()) };
            }
        }
    }
}

impl<'a> Named<'a> for Target<'a> {
    /// Always inlined, so that the compiler evaluates it for a constant name.
    #[inline(always)]
    fn name(self) -> (&'a CStr, u32) {
        match self.at {
            At::Symbol(name) if name.to_bytes().contains(&b':') => (name, self.offset),
            _ => (c"", 0),
        }
    }

    #[inline]
    fn at(name: &'a CStr, offset: u32) -> Self {
        Self::symbol(name).offset(offset)
    }

    #[inline(always)]
    fn report<K: Kind>(self, what: &CStr, index: c_int, error: Error) {
        let (symbol, at) = match self.at {
            At::Symbol(name) => (name.as_char_ptr(), 0),
            At::Address(addr) => (ptr::null(), addr),
        };
        let at = at.wrapping_add(self.offset as usize);
        let why = self.reason::<K>(error).as_char_ptr();
        let (what, errno) = (what.as_char_ptr(), error.to_errno());
        // SAFETY: The function only prints.
        if unsafe { bindings::kprobes_report_refused(what, index, symbol, at, errno, why) }
            && error == ENOENT
        {
            self.hint();
        }
    }

    #[inline]
    fn is_in(name: &CStr, module: Option<&CStr>) -> bool {
        match module {
            Some(module) => name.to_bytes().split(|&c| c == b':').next() == Some(module.to_bytes()),
            // SAFETY: The function only compares names.
            None => !unsafe { bindings::kprobes_module_is_missing(name.as_char_ptr()) },
        }
    }
}

/// Converts a string that ends with a NUL, for the macros. `kernel::c_str!` would use a `concat!`
/// that the user has defined.
#[doc(hidden)]
#[inline]
pub const fn __c_str(name: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("a name must not contain a NUL byte"),
    }
}
