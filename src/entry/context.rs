// SPDX-License-Identifier: GPL-2.0

//! The context of an entry probe's handler.
//!
//! C header: [`include/linux/ftrace_regs.h`](srctree/include/linux/ftrace_regs.h)
//!
//! ftrace saves neither the callee-saved registers nor the flags.

use super::record::Record;
use crate::common::*;

context::places! {
    /// The moment at the entry of a function.
    AtEntry: Hit, |hit, _frame, to| {
        let len = to.len() as c_uint;
        // SAFETY: `to` has `len` words. By the invariant of `Hit`, `fregs` and `record` are valid.
        // No reference to the saved registers is live.
        unsafe {
            let ip = (*hit.record).ip();
            bindings::kprobes_stack_entry(to.as_mut_ptr().cast(), len, hit.fregs, ip);
        }
    };
}

/// The arguments of the ftrace callback.
///
/// # Invariants
///
/// For the duration of the callback, `fregs` points at the saved registers, which no other code
/// writes, and `record` points at the probe.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Hit {
    pub(super) fregs: *mut ftrace_regs,
    pub(super) parent: usize,
    pub(super) record: *const Record,
}

impl context::Hit for Hit {
    #[inline(always)]
    fn index(self) -> usize {
        // SAFETY: By the type invariant, `record` is of a registered probe.
        unsafe { probe::index_of(self.record) }
    }
}

// SAFETY: ftrace has saved the argument registers of the hit.
unsafe impl AtCall for AtEntry {
    #[inline(always)]
    fn argument(hit: Hit, n: usize) -> usize {
        // SAFETY: By the invariant of `Hit`, `fregs` is valid.
        unsafe { regs::entry_register(hit.fregs, Register::argument(n)).read() }
    }

    #[inline(always)]
    unsafe fn set_argument(hit: Hit, n: usize, value: usize) {
        // SAFETY: By the invariant of `Hit`, `fregs` is valid. By the safety requirements, the
        // function can continue with `value`.
        unsafe { regs::entry_register(hit.fregs, Register::argument(n)).write(value) };
    }
}

/// The context of [`Handler::entry`](super::Handler::entry).
pub type Context<'a> = context::Context<'a, AtEntry>;

impl Context<'_> {
    /// Returns the address of the ftrace call at the entry of the function. It is a few bytes after
    /// the function's symbol on arm64 and riscv64, and on x86-64 with `CONFIG_X86_KERNEL_IBT`.
    #[inline(always)]
    pub fn address(&self) -> Address {
        // SAFETY: By the invariant of `Hit`, `record` is valid.
        Address::new(unsafe { (*self.hit.record).ip() })
    }

    /// Returns the return address of the function. This may be a trampoline of the kernel, for
    /// example if a function with a [`Kretprobe`](crate::Kretprobe) has tail-called this one.
    #[inline(always)]
    pub fn caller(&self) -> Address {
        Address::new(self.hit.parent)
    }

    /// Returns the stack pointer.
    #[inline(always)]
    pub fn sp(&self) -> usize {
        // SAFETY: By the invariant of `Hit`, `fregs` is valid.
        unsafe { regs::entry_register(self.hit.fregs, Register::STACK_POINTER).read() }
    }
}
