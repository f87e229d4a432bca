// SPDX-License-Identifier: GPL-2.0

//! The calls that led to a hit.
//!
//! C header: [`include/linux/stacktrace.h`](srctree/include/linux/stacktrace.h)
//!
//! `stack_trace_save()` begins within the handler. `stack_trace_save_regs()` begins at the hit, but
//! is not exported. So `stack.c` asks the kernel's unwinder on x86-64, and cuts off what is between
//! the hit and the handler elsewhere. Both need no lock, no memory and no sleep.
//!
//! The stack of the user's program is not available: the kernel does not export
//! `stack_trace_save_user()` and `arch_stack_walk_user()`.
//!
//! Context: any; nothing here sleeps, locks or faults.

use super::{
    key::Key,
    show::{
        string,
        Form,
        Show, //
    },
};
use crate::common::*;

display_by_core!([const N: usize] Stack<N>);

/// The most frames of a [`Stack`], as for `PERF_MAX_STACK_DEPTH`: a kilobyte on the stack of the
/// probed code.
const MAX_FRAMES: usize = 127;

/// The calls that were in progress at a hit, as [`Context::stack`] finds them: up to `N` return
/// addresses, the innermost first.
///
/// Equal stacks have equal words, so it can be a key. What follows the last frame is 0.
///
/// It is displayed as symbols, in one line: `ksys_read+0x6f <- do_syscall_64+0xa1`. With `{:#}`,
/// each symbol is on a line of its own, as bpftrace prints `kstack`:
///
/// ```text
///     ksys_read+0x6f
///     do_syscall_64+0xa1
/// ```
///
/// A message of the log has about 1000 bytes, which is room for 20 to 40 symbols. As a part of a
/// key, as in `CountMap<(Comm, Stack<8>)>`, it is shown on lines of its own too.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
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
        let lines = f.alternate();
        for (n, frame) in self.frames().iter().enumerate() {
            let separator = match (lines, n) {
                (true, 0) => "    ",
                (true, _) => "\n    ",
                (false, 0) => "",
                (false, _) => " <- ",
            };
            f.write_str(separator)?;
            fmt::Display::fmt(&frame.call(), f)?;
        }
        Ok(())
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

/// Each symbol is on a line of its own, or a string in an array.
impl<const N: usize> Show for Stack<N> {
    fn show(&self, form: Form, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (mut separator, next, end) = match form {
            Form::Text => ("\n    ", "\n    ", "\n"),
            Form::Json => ("[", ",", "]"),
        };
        if self.frames().is_empty() {
            return f.write_str(if form == Form::Json { "[]" } else { "\n" });
        }
        for frame in self.frames() {
            f.write_str(separator)?;
            string(form, f, &frame.call())?;
            separator = next;
        }
        f.write_str(end)
    }
}

impl<At: Place> Context<'_, At> {
    /// Returns the calls that are in progress, up to `N`, the innermost first; `N` is 1 to 127.
    ///
    /// | at | the first frame is in |
    /// |---|---|
    /// | the entry of a function, by any kind of probe | the caller of the function |
    /// | an instruction of a function | the caller of the function |
    /// | the moment after that instruction | the same; after a call, the function itself, which has called another |
    /// | the return of a function | the caller, to which it returns |
    /// | a tracepoint | the function that passes the tracepoint |
    ///
    /// So a probed function is not in its own stack: [`address`](Context::address) is where it was
    /// hit. bpftrace's `kstack` begins with that address at a kprobe, and is the same from there
    /// on. At a tracepoint, `kstack` may begin with `__traceiter_...`, which is left out here.
    ///
    /// In an interrupt, its own frames are first, and those of what it has interrupted follow.
    /// Where return probes or the function graph tracer have replaced return addresses, these are
    /// the original ones.
    ///
    /// It costs about 400 instructions for each frame.
    ///
    /// # Limits
    ///
    /// - A function that ended in a jump to another has no frame.
    /// - The stack ends where the kernel's unwinder cannot continue, such as in a function of
    ///   assembly without unwind information.
    /// - If the function graph tracer traces a function that has a return probe, the frame of its
    ///   caller may be `return_to_handler`, and the last. In `post` of its `ret`, there is none.
    /// - On arm64, and on x86-64 with `CONFIG_UNWINDER_FRAME_POINTER`, the caller is missing at an
    ///   instruction at which the function has no frame, except at its entry.
    /// - Where the compiler makes a function of a tracepoint, `__do_trace_...` is first.
    ///
    /// Context: any, NMI included.
    #[inline]
    pub fn stack<const N: usize>(&self) -> Stack<N> {
        const { assert!(N >= 1 && N <= MAX_FRAMES, "a stack of 1 to 127 frames") };
        let mut frames = [Address::new(0); N];
        // The callback has made this context, and keeps it in its own frame.
        At::stack(self.hit, ptr::from_ref(self) as usize, &mut frames);
        Stack(frames)
    }
}
