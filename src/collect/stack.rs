// SPDX-License-Identifier: GPL-2.0

//! The kernel stack at a hit.
//!
//! C header: [`include/linux/stacktrace.h`](srctree/include/linux/stacktrace.h)
//!
//! `stack_trace_save_regs()` is not exported. On x86-64, `stack.c` calls the kernel's unwinder with
//! the registers of the hit. Elsewhere, `stack_trace_save()` skips the frames from the handler to
//! the hit. For user stacks, the kernel exports no function.
//!
//! Context: any; nothing here sleeps, locks, allocates or faults.

use super::key::Key;
use super::show::*;
use crate::common::*;

display_by_core!([const N: usize] Stack<N>);

/// The largest number of frames in a [`Stack`], as `PERF_MAX_STACK_DEPTH`.
const MAX_FRAMES: usize = 127;

/// The kernel stack at a hit, from [`Context::stack`]: up to `N` return addresses, the innermost
/// first. It can be a key of a map. It takes `8 * N` bytes, in a handler on the same kernel stack.
///
/// `{}` displays it as symbols in one line: `ksys_read+0x6f <- do_syscall_64+0xa1`. `{:#}` displays
/// each symbol on a line of its own, as bpftrace prints `kstack`:
///
/// ```text
///     ksys_read+0x6f
///     do_syscall_64+0xa1
/// ```
///
/// A log message has about 1000 bytes, room for 20 to 40 symbols. Maps always show a stack on
/// several lines, also as a part of a key, as in `CountMap<(Comm, Stack<8>)>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
// Unused words are 0.
pub struct Stack<const N: usize>([Address; N]);

impl<const N: usize> Stack<N> {
    /// Returns the return addresses, the innermost first.
    #[inline]
    pub fn frames(&self) -> &[Address] {
        let len = self.0.iter().position(|frame| frame.as_usize() == 0);
        &self.0[..len.unwrap_or(N)]
    }
}

impl<const N: usize> fmt::Display for Stack<N> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (indent, separator) = match f.alternate() {
            true => ("    ", "\n"),
            false => ("", " <- "),
        };
        join(f, ["", separator, ""], self.frames(), |f, frame| {
            f.write_str(indent)?;
            fmt::Display::fmt(&frame.call(), f)
        })
    }
}

impl<const N: usize> Key for Stack<N> {
    type Words = [u64; N];

    #[inline(always)]
    fn words(self) -> Self::Words {
        self.0.map(|frame| frame.as_usize() as u64)
    }

    fn from_words(words: Self::Words) -> Self {
        Self(words.map(|word| Address::new(word as usize)))
    }
}

/// Shows each symbol on a line of its own; in JSON, an array of strings.
impl<const N: usize> Show for Stack<N> {
    fn show(&self, form: Form, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (indent, around) = match form {
            Form::Text => ("\n    ", ["", "", "\n"]),
            Form::Json => ("", ["[", ",", "]"]),
        };
        join(f, around, self.frames(), |f, frame| {
            f.write_str(indent)?;
            string(form, f, &frame.call())
        })
    }
}

impl<At: Place> Context<'_, At> {
    /// Returns the kernel stack: up to `N` return addresses, the innermost first. `N` is 1 to 127.
    ///
    /// | the hit | the first frame is in |
    /// |---|---|
    /// | at the entry of a function, by any kind of probe | the caller of the function |
    /// | at an instruction inside a function, in `pre` | the caller of the function |
    /// | the same, in `post` | the caller of the function of the next instruction: after a call, the probed function |
    /// | at the return of a function | the caller of the function |
    /// | at a tracepoint | the function that has the tracepoint |
    ///
    /// The probed function itself is omitted; [`address`](Context::address) returns the probed
    /// address. bpftrace's `kstack` starts with that address at a kprobe, and may start with
    /// `__traceiter_...` at a tracepoint.
    ///
    /// The frames of an interrupt are followed by those of the interrupted code. Return addresses
    /// that return probes or the function graph tracer have replaced are the original ones.
    ///
    /// This costs about 400 instructions for each frame. Except on x86-64, the library does not
    /// compile without `CONFIG_STACKTRACE`, which `CONFIG_TRACING` selects.
    ///
    /// # Limits
    ///
    /// - A function that has made a tail call has no frame.
    /// - The stack ends where the kernel's unwinder stops, as in assembly without unwind tables.
    /// - If the function graph tracer traces a function that has a return probe, the caller's frame
    ///   may be `return_to_handler`, and the stack may end there. In `post` of the function's `ret`
    ///   instruction, the stack is then empty.
    /// - On riscv64, the stack of a hit in an interrupt ends in that interrupt.
    /// - On arm64 and riscv64, and on x86-64 with `CONFIG_UNWINDER_FRAME_POINTER`, the caller is
    ///   missing at a hit in the prologue, after the first instruction, or in the epilogue.
    /// - If the compiler does not inline a tracepoint, `__do_trace_...` is the first frame.
    /// - With `CONFIG_UNWINDER_GUESS`, there may be frames of earlier calls.
    ///
    /// Context: any, NMI included.
    #[inline]
    pub fn stack<const N: usize>(&self) -> Stack<N> {
        const { assert!(N >= 1 && N <= MAX_FRAMES, "N must be 1 to 127") };
        let mut frames = [Address::new(0); N];
        // The callback has created the context in its stack frame.
        At::stack(self.hit, ptr::from_ref(self) as usize, &mut frames);
        Stack(frames)
    }
}
