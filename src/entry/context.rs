// SPDX-License-Identifier: GPL-2.0

//! What the handler of an entry probe can find out.
//!
//! C header: [`include/linux/ftrace_regs.h`](srctree/include/linux/ftrace_regs.h)
//!
//! ftrace saves only what a call leaves in place: there are no callee-saved registers, and no
//! flags.

use super::record::Record;
use crate::common::*;

context::places! {
    /// The moment at the entry of a function.
    AtEntry: Hit, |hit, _frame, to| {
        let len = to.len() as c_uint;
        // SAFETY: `to` is `len` words long. By the invariant of `Hit`, `fregs` and `record` are
        // those of this hit, and no reference to what ftrace has saved is live.
        unsafe {
            let ip = (*hit.record).ip();
            bindings::kprobes_stack_entry(to.as_mut_ptr().cast(), len, hit.fregs, ip);
        }
    };
}

/// What ftrace passes to its callback.
///
/// # Invariants
///
/// For the duration of the callback, `fregs` points at what ftrace has saved, which no other code
/// writes, and `record` at the probe.
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
        // SAFETY: By the type invariant, `record` is that of a registered probe.
        unsafe { probe::index_of(self.record) }
    }
}

// SAFETY: What ftrace has saved has the argument registers of this hit.
unsafe impl AtCall for AtEntry {
    #[inline(always)]
    fn argument(hit: Hit, n: usize) -> usize {
        // SAFETY: By the invariant of `Hit`, `fregs` is that of this hit.
        unsafe { regs::entry_register(hit.fregs, Register::argument(n)).read() }
    }

    #[inline(always)]
    unsafe fn set_argument(hit: Hit, n: usize, value: usize) {
        // SAFETY: By the invariant of `Hit`, `fregs` is that of this hit. By the safety
        // requirements, the function can continue with `value`.
        unsafe { regs::entry_register(hit.fregs, Register::argument(n)).write(value) };
    }
}

/// What [`Handler::entry`](super::Handler::entry) can find out.
pub type Context<'a> = context::Context<'a, AtEntry>;

impl Context<'_> {
    /// Returns the address of the ftrace call, which is at the entry of the function: a few bytes
    /// after its symbol on arm64 and riscv64, and on x86-64 with `CONFIG_X86_KERNEL_IBT`.
    #[inline(always)]
    pub fn address(&self) -> Address {
        // SAFETY: By the invariant of `Hit`, `record` is valid.
        Address::new(unsafe { (*self.hit.record).ip() })
    }

    /// Returns where the function returns to. That is a trampoline of the kernel's if the return is
    /// followed, too, by a [`Kretprobe`](crate::Kretprobe) of its caller's for example, which has
    /// ended in a jump to this function.
    #[inline(always)]
    pub fn caller(&self) -> Address {
        Address::new(self.hit.parent)
    }

    /// Returns the stack pointer.
    #[inline(always)]
    pub fn sp(&self) -> usize {
        // SAFETY: By the invariant of `Hit`, `fregs` is that of this hit.
        unsafe { regs::entry_register(self.hit.fregs, Register::STACK_POINTER).read() }
    }
}
