// SPDX-License-Identifier: GPL-2.0

//! Bindings to `targets.c`, and handlers that record their hits.

use core::hint::black_box;
#[cfg(CONFIG_X86_64)]
use kprobes::nofault::KernelPtr;
use kprobes::probe::Kind;
use kprobes::regs::Register;

// Used by all suites.
pub(crate) use crate::handlers::Hits;
pub(crate) use kernel::prelude::*;
pub(crate) use kernel::sync::atomic::Atomic;
pub(crate) use kernel::sync::atomic::Relaxed;
pub(crate) use kernel::sync::Arc;
pub(crate) use kprobes::*;

/// The first functions to probe, and a missing one.
pub(crate) const DIV: Target<'static> = Target::symbol(c"kut_div");
pub(crate) const MORE: Target<'static> = Target::symbol(c"kut_div_more");
pub(crate) const RECURSED: Target<'static> = Target::symbol(c"kut_recursed");
pub(crate) const NONE: Target<'static> = Target::symbol(c"no_such_function");
/// A function in assembly, which ftrace does not know.
pub(crate) const ASSEMBLY: Target<'static> = Target::symbol(if cfg!(CONFIG_X86_64) {
    c"ret_from_fork_asm"
} else if cfg!(CONFIG_RISCV) {
    c"ret_from_fork_kernel_asm"
} else {
    c"ret_from_fork"
});

// The safe functions take any value.
unsafe extern "C" {
    pub(crate) safe fn kut_div(value: u32) -> u32;
    pub(crate) safe fn kut_div_more(value: u32) -> u32;
    pub(crate) safe fn kut_recursed(value: u32) -> u32;
    pub(crate) safe fn kut_mix(a: u64, b: u64) -> u64;
    pub(crate) safe fn kut_call_structs();
    pub(crate) safe fn kut_integers(a: u8, b: i8, c: u16, d: i16, e: u32, f: i32) -> usize;
    pub(crate) safe fn kut_long(a: u64, b: i64, c: usize, d: isize, e: bool, f: *const c_void);
    pub(crate) safe fn kut_long_result(value: isize) -> isize;
    pub(crate) safe fn kut_int_result(value: i32) -> i32;
    pub(crate) safe fn kut_string(string: *const u8) -> u64;
    pub(crate) safe fn kut_call_syscall(compat: bool);
    pub(crate) safe fn kut_registers();
    pub(crate) safe fn kut_skipped(value: i32) -> i32;
    pub(crate) safe fn kut_steps() -> i32;
    pub(crate) safe fn kut_preemptible() -> bool;
    pub(crate) safe fn kut_start_sleepers(n: i32);
    pub(crate) safe fn kut_stop_sleepers(n: i32);
    pub(crate) safe fn kut_user_pages(n: i32) -> usize;
    pub(crate) safe fn kut_set_dry(address: usize, value: i32) -> i32;
    pub(crate) fn kut_write_user(at: usize, from: *const u8, len: usize) -> i32;
    pub(crate) safe fn kut_map_device() -> usize;
    pub(crate) fn kut_unmap_device(at: usize);
    pub(crate) safe fn kut_fixed_device() -> usize;
    pub(crate) fn kut_skip(why: *const c_char);
    pub(crate) safe fn kut_use_module();
    pub(crate) safe fn kut_init_timer();
    pub(crate) safe fn kut_interrupt();
    pub(crate) safe fn kut_level() -> u32;
    pub(crate) safe fn kut_everywhere() -> u32;
    pub(crate) fn kut_chain(frames: *mut usize, n: u32) -> u32;
    pub(crate) fn kut_chain_in_interrupt(frames: *mut usize, n: u32) -> u32;
    pub(crate) safe fn kut_fields(rest: u8) -> usize;
    pub(crate) static kut_ran: i32;
    pub(crate) static kut_step_else: u8;
    pub(crate) static kut_context: u32;
}

pub(crate) fn write_user(at: usize, bytes: &[u8]) -> Result {
    // SAFETY: `from` and `len` are those of a slice.
    kernel::error::to_result(unsafe { kut_write_user(at, bytes.as_ptr(), bytes.len()) })
}

/// Maps a device without a driver while `then` runs.
pub(crate) fn with_device<R>(then: impl FnOnce(usize) -> R) -> Option<R> {
    let at = kut_map_device();
    (at != 0).then(|| {
        let result = then(at);
        // SAFETY: `at` was mapped above.
        unsafe { kut_unmap_device(at) };
        result
    })
}

pub(crate) fn skip(why: &'static CStr) -> Result {
    // SAFETY: `why` is a C string, which the function copies.
    unsafe { kut_skip(why.as_char_ptr()) };
    Ok(())
}

#[cfg(CONFIG_X86_64)]
pub(crate) const FIRST: Register = Register::Di;
#[cfg(CONFIG_ARM64)]
pub(crate) const FIRST: Register = Register::X(0);
#[cfg(CONFIG_RISCV)]
pub(crate) const FIRST: Register = Register::X(10);

/// Returns how often `kut_skipped()` ran, without overridden calls.
pub(crate) fn ran() -> i32 {
    // SAFETY: Only the function writes it, and only this thread calls the function.
    unsafe { (&raw const kut_ran).read_volatile() }
}

/// Returns a number that is unknown to the compiler.
pub(crate) fn some() -> u32 {
    black_box(987_654_321)
}

/// Counts hits before and after the instruction, and records the last one.
pub(crate) struct Seen {
    pub(crate) pre: Count,
    pub(crate) post: Count,
    pub(crate) index: Atomic<usize>,
    pub(crate) preemptible: Atomic<bool>,
}

impl Seen {
    pub(crate) const fn new() -> Self {
        Self {
            pre: Count::new(),
            post: Count::new(),
            index: Atomic::new(usize::MAX),
            preemptible: Atomic::new(false),
        }
    }

    pub(crate) fn hits(&self) -> (u64, u64) {
        (self.pre.get(), self.post.get())
    }

    fn note(&self, counter: &Count, index: usize) {
        counter.add(1);
        self.index.store(index, Relaxed);
        if kut_preemptible() {
            self.preemptible.store(true, Relaxed);
        }
    }
}

pub(crate) struct Before(pub(crate) Seen);

handlers!(Before);

impl Hits for Before {
    fn hit<At: Place>(&self, cx: &Context<'_, At>, _address: Option<Address>) {
        self.0.note(&self.0.pre, cx.index());
    }
}

pub(crate) struct Around(pub(crate) Seen);

#[vtable]
impl kprobe::Handler for Around {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        self.0.note(&self.0.pre, cx.index());
    }

    fn post(&self, cx: &kprobe::PostContext<'_>) {
        self.0.note(&self.0.post, cx.index());
    }
}

pub(crate) struct On<S, F>(pub(crate) S, pub(crate) F);

#[vtable]
impl<S, F> kprobe::Handler for On<S, F>
where
    S: Send + Sync + 'static,
    F: Fn(&S, &kprobe::Context<'_>) + Send + Sync + 'static,
{
    fn pre(&self, cx: &kprobe::Context<'_>) {
        (self.1)(&self.0, cx);
    }
}

#[vtable]
impl<S, F> kretprobe::Handler for On<S, F>
where
    S: Send + Sync + 'static,
    F: Fn(&S, &kretprobe::ReturnContext<'_>) + Send + Sync + 'static,
{
    type Data = ();

    fn ret(&self, cx: &kretprobe::ReturnContext<'_>, (): ()) {
        (self.1)(&self.0, cx);
    }
}

#[vtable]
impl<S, F> entry::Handler for On<S, F>
where
    S: Send + Sync + 'static,
    F: Fn(&S, &entry::Context<'_>) + Send + Sync + 'static,
{
    fn entry(&self, cx: &entry::Context<'_>) {
        (self.1)(&self.0, cx);
    }
}

pub(crate) fn boxed<T>(probe: impl PinInit<T, Error>) -> Result<Pin<KBox<T>>> {
    KBox::pin_init(probe, GFP_KERNEL)
}

pub(crate) fn before(target: Target<'_>) -> Result<Pin<KBox<Kprobe<Before>>>> {
    boxed(Kprobe::new(target, Before(Seen::new())))
}

pub(crate) fn around(target: Target<'_>) -> Result<Pin<KBox<Kprobe<Around>>>> {
    boxed(Kprobe::new(target, Around(Seen::new())))
}

pub(crate) fn at<K: Kind>(probe: &Registered<K>) -> usize {
    probe.address().map_or(0, |address| address.as_usize())
}

pub(crate) fn error_of<T>(result: Result<T>) -> Option<Error> {
    result.err()
}

/// Returns the opcode that the kernel wrote at a probe.
#[cfg(CONFIG_X86_64)]
pub(crate) fn opcode<K: Kind>(probe: &Registered<K>) -> Result<u8> {
    KernelPtr::<u8>::new(at(probe)).read()
}

/// Returns the offset of an instruction in `kut_mix`, at least `from`.
pub(crate) fn offset_inside(from: u32) -> Option<u32> {
    (from..from + 32).find(|&n| before(Target::symbol(c"kut_mix").offset(n)).is_ok())
}
