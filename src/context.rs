// SPDX-License-Identifier: GPL-2.0

//! What a handler can find out about a hit.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Context: any; nothing here sleeps, locks or faults.

use crate::{
    args::{
        FromWord,
        FromWords, //
    },
    bindings,
    entry,
    kernel_ext::{
        nofault::KernelPtr,
        symbol::Address, //
    },
    regs::{
        self,
        Register, //
    },
    task::current_field, //
};
use core::marker::PhantomData;
use kernel::{
    cpu::CpuId,
    prelude::*, //
};

/// Marks a [`Context`] before the probed instruction.
pub enum Pre {}
/// Marks a [`Context`] after the probed instruction.
pub enum Post {}
/// Marks a [`Context`] at the return of the probed function.
pub enum Return {}
/// Marks a [`Context`] at a tracepoint.
pub enum Trace {}
/// Marks a [`Context`] at the entry of a function, in the handler of an
/// [`Entry`](crate::Entry).
pub enum AtEntry {}

/// The kind of a [`Context`]: one of [`Pre`], [`Post`], [`Return`], [`Trace`] and
/// [`AtEntry`].
pub trait Place {
    #[doc(hidden)]
    type Hit: Copy;

    /// Whether the handler may be preempted.
    #[doc(hidden)]
    const PREEMPTIBLE: bool;

    /// Whether all CPU registers are saved.
    #[doc(hidden)]
    const SAVED: bool;

    /// Returns the saved CPU registers, or null.
    #[doc(hidden)]
    fn saved(hit: Self::Hit) -> *mut bindings::pt_regs;
}

/// The kinds of [`Context`] that have the saved CPU registers.
pub trait Probed: Place<Hit = Hit> {}

macro_rules! places {
    ($($place:ident: $hit:ty),*) => {
        $(impl Place for $place {
            type Hit = $hit;
            const PREEMPTIBLE: bool = <$hit>::PREEMPTIBLE;
            const SAVED: bool = <$hit>::SAVED;

            #[inline(always)]
            fn saved(hit: $hit) -> *mut bindings::pt_regs {
                hit.saved()
            }
        })*
    };
}

places!(Pre: Hit, Post: Hit, Return: Hit, Trace: NoHit, AtEntry: EntryHit);
impl Probed for Pre {}
impl Probed for Post {}
impl Probed for Return {}

/// What the kernel passes to the callback of a kprobe or a kretprobe.
#[derive(Clone, Copy)]
pub struct Hit {
    regs: *mut bindings::pt_regs,
    kp: *const bindings::kprobe,
    index: usize,
}

impl Hit {
    const PREEMPTIBLE: bool = false;
    const SAVED: bool = true;

    #[inline(always)]
    fn saved(self) -> *mut bindings::pt_regs {
        self.regs
    }
}

/// What ftrace passes to its callback.
#[derive(Clone, Copy)]
pub struct EntryHit {
    fregs: *mut bindings::ftrace_regs,
    parent: usize,
    probe: *const entry::Probe,
}

impl EntryHit {
    const PREEMPTIBLE: bool = false;
    const SAVED: bool = false;

    /// They are not complete: perf takes those of the handler.
    #[inline(always)]
    fn saved(self) -> *mut bindings::pt_regs {
        core::ptr::null_mut()
    }
}

/// At a tracepoint there is nothing to keep.
#[derive(Clone, Copy)]
pub struct NoHit;

impl NoHit {
    const PREEMPTIBLE: bool = true;
    const SAVED: bool = false;

    #[inline(always)]
    fn saved(self) -> *mut bindings::pt_regs {
        core::ptr::null_mut()
    }
}

/// A hit, as passed to its handler.
///
/// Only the library can create it, and it cannot outlive the call of the handler.
/// Its methods depend on `At`: arguments before the probed instruction, the
/// result at the return.
///
/// # Invariants
///
/// If `At` is [`Probed`], then for the duration of `'a`, `regs` of the hit points
/// at the CPU registers that the kernel has saved, which nobody else writes, and
/// `kp` at the registered probe that was hit. If it is [`AtEntry`], `fregs` points at
/// what ftrace has saved, which nobody else writes, and `probe` at the probe.
pub struct Context<'a, At: Place = Pre> {
    hit: At::Hit,
    // The pointer makes it neither `Send` nor `Sync`.
    _at: PhantomData<(&'a (), *mut At)>,
}

impl<At: Place> Context<'_, At> {
    /// Returns the saved CPU registers, or null at a tracepoint or an entry.
    #[inline(always)]
    pub(crate) fn saved(&self) -> *mut bindings::pt_regs {
        At::saved(self.hit)
    }

    /// Returns the current CPU. The handler of a tracepoint may be preempted and
    /// migrated; other handlers stay on the CPU.
    #[inline(always)]
    pub fn cpu(&self) -> u32 {
        CpuId::current().as_u32()
    }

    /// Returns the monotonic time since boot, in nanoseconds.
    ///
    /// Unlike `ktime_get()`, this cannot deadlock in a probe on the timekeeping
    /// code.
    ///
    /// C function: `ktime_get_mono_fast_ns()`.
    #[inline(always)]
    pub fn now_ns(&self) -> u64 {
        // SAFETY: The function may be called in any context, NMI included.
        unsafe { bindings::ktime_get_mono_fast_ns() }
    }
}

impl<At: Probed> Context<'_, At> {
    /// # Safety
    ///
    /// `regs` and `kp` must be what the kernel has passed to a callback, and the
    /// lifetime of the result must end with that call.
    #[inline(always)]
    pub(crate) unsafe fn new(
        regs: *mut bindings::pt_regs,
        kp: *const bindings::kprobe,
        index: usize,
    ) -> Self {
        // INVARIANT: By the safety requirements, `regs` and `kp` are those of this hit.
        Self {
            hit: Hit { regs, kp, index },
            _at: PhantomData,
        }
    }

    #[inline(always)]
    fn regs(&self) -> &bindings::pt_regs {
        // SAFETY: By the type invariant, `regs` is valid and nobody else writes it. The setters of
        // this type write it only while no reference from here is live.
        unsafe { &*self.hit.regs }
    }

    /// Returns the index of the target that was hit in a set; 0 for a single
    /// probe.
    #[inline(always)]
    pub fn index(&self) -> usize {
        self.hit.index
    }

    /// Returns the probed address.
    #[inline(always)]
    pub fn address(&self) -> Address {
        // SAFETY: By the type invariant, `kp` is registered, so nobody writes its `addr`.
        Address::new(unsafe { (*self.hit.kp).addr } as usize)
    }

    /// Returns the instruction pointer in the saved registers. In `pre`, this is
    /// the probed address on arm64. On x86-64 it is one byte further, after the
    /// breakpoint, even where the kernel uses no breakpoint.
    #[inline(always)]
    pub fn ip(&self) -> usize {
        regs::instruction_pointer(self.regs())
    }

    /// Returns the stack pointer in the saved registers.
    #[inline(always)]
    pub fn sp(&self) -> usize {
        regs::stack_pointer(self.regs())
    }

    /// Returns the CPU flags in the saved registers.
    #[inline(always)]
    pub fn flags(&self) -> usize {
        regs::flags(self.regs())
    }

    /// Returns a CPU register of the probed code, by its name on this
    /// architecture.
    #[inline(always)]
    pub fn register(&self, register: Register) -> usize {
        // SAFETY: By the type invariant, `regs` is valid.
        unsafe { regs::register(self.hit.regs, register).read() }
    }

    /// Sets a CPU register of the probed code, which continues with it.
    ///
    /// # Safety
    ///
    /// From the probed instruction on, the probed code must be correct with this
    /// value in this register, for its callers, its callees, and everything that
    /// shares memory with it. If it is used as a pointer, it must be valid for
    /// each of these uses.
    #[inline(always)]
    pub unsafe fn set_register(&self, register: Register, value: usize) {
        // SAFETY: By the type invariant, `regs` is valid, and no reference to it is live. By the
        // safety requirements, the probed code can continue with `value`.
        unsafe { regs::register(self.hit.regs, register).write(value) };
    }
}

impl Context<'_, Pre> {
    /// Returns the `n`th argument of the probed function, from 0: the CPU register
    /// in which the C calling convention passes it.
    ///
    /// A struct that is passed by value is not one argument: one of up to 16 bytes takes a register
    /// for each 8 bytes, a larger one none on x86-64, where it is on the stack, and one on arm64,
    /// which points at it. A function that returns a larger struct has, on x86-64, a pointer to the
    /// room for it as its first argument.
    ///
    /// After the entry of the function, that register may hold anything. If the
    /// `n`th argument is not passed in a register, the module does not build:
    /// modpost reports `rust_build_error`.
    #[inline(always)]
    pub fn arg<T: FromWord>(&self, n: usize) -> T {
        build_assert!(n < regs::ARGUMENTS);
        T::from_word(regs::argument(self.regs(), n))
    }

    /// Returns the first arguments of the probed function, up to six, as a tuple.
    /// See [`Context::arg`].
    #[inline(always)]
    pub fn args<T: FromWords>(&self) -> T {
        T::from_words(|n| regs::argument(self.regs(), n))
    }

    /// Returns the arguments of the system call, if the probed function is its
    /// entry point: `__x64_sys_*` on x86-64, `__arm64_sys_*` on arm64.
    ///
    /// Such a function takes a pointer to the user's `struct pt_regs`.
    ///
    /// # Errors
    ///
    /// `EFAULT` if they cannot be read, because the probed function is another
    /// one; `EOPNOTSUPP` in a system call of 32 bits, whose arguments are in other registers.
    #[inline]
    pub fn syscall_args<T: FromWords>(&self) -> Result<T> {
        syscall_args(self.arg(0))
    }

    /// Sets the `n`th argument of the probed function, which continues with it.
    ///
    /// # Safety
    ///
    /// That of [`Context::set_register`]; also, the probe must be at the
    /// function's entry.
    #[inline(always)]
    pub unsafe fn set_arg(&self, n: usize, value: usize) {
        build_assert!(n < regs::ARGUMENTS);
        // SAFETY: By the type invariant, `regs` is valid, and no reference to it is live. By the
        // safety requirements, the function can continue with `value`.
        unsafe { regs::set_argument(self.hit.regs, n, value) };
    }
}

impl Context<'_, Return> {
    /// Returns the result of the probed function: the CPU register in which the C
    /// calling convention returns it.
    ///
    /// `T` should be the type that the function returns; a `Result` decodes the
    /// kernel's errors, see [`FromWord`]. The value is meaningless if the function
    /// returns nothing.
    #[inline(always)]
    pub fn ret<T: FromWord>(&self) -> T {
        T::from_word(regs::return_value(self.regs()))
    }

    /// Makes the probed function return `value` instead.
    ///
    /// # Safety
    ///
    /// `value` must be a result that the caller can handle, given what the
    /// function has done.
    #[inline(always)]
    pub unsafe fn set_ret(&self, value: usize) {
        // SAFETY: By the type invariant, `regs` is valid, and no reference to it is live. By the
        // safety requirements, the caller can handle `value`.
        unsafe { regs::set_return_value(self.hit.regs, value) };
    }
}

/// Returns the arguments in the registers with which a program has called the kernel.
#[inline]
fn syscall_args<T: FromWords>(user: KernelPtr<bindings::pt_regs>) -> Result<T> {
    // SAFETY: `thread_info` has a word of flags there, of which this reads the lower half.
    let flags: c_uint = unsafe { current_field(bindings::KPROBES_TASK_COMPAT) };
    if flags & bindings::KPROBES_COMPAT != 0 {
        // The kernel crate of Linux 7.2 has no name for it.
        return Err(Error::from_errno(-(bindings::EOPNOTSUPP as c_int)));
    }
    let mut user_regs = core::mem::MaybeUninit::<bindings::pt_regs>::uninit();
    user.read_raw(&mut user_regs)?;
    // SAFETY: `read_raw` has initialised it, and a `struct pt_regs` consists of integers.
    let user_regs = unsafe { user_regs.assume_init_ref() };
    Ok(T::from_words(|n| regs::syscall_argument(user_regs, n)))
}

/// ftrace saves only what a call leaves in place: there are no callee-saved
/// registers, and no flags.
impl Context<'_, AtEntry> {
    /// # Safety
    ///
    /// `fregs` must be what ftrace has passed to a callback, `probe` be registered,
    /// and the lifetime of the result must end with that call.
    #[inline(always)]
    pub(crate) unsafe fn entry(
        fregs: *mut bindings::ftrace_regs,
        parent: usize,
        probe: *const entry::Probe,
    ) -> Self {
        // INVARIANT: By the safety requirements, these are those of this hit.
        Self {
            hit: EntryHit {
                fregs,
                parent,
                probe,
            },
            _at: PhantomData,
        }
    }

    #[inline(always)]
    fn probe(&self) -> &entry::Probe {
        // SAFETY: By the type invariant, `probe` is valid.
        unsafe { &*self.hit.probe }
    }

    /// Returns the index of the target that was hit in a set; 0 for a single
    /// probe.
    #[inline(always)]
    pub fn index(&self) -> usize {
        self.probe().index()
    }

    /// Returns the address of the ftrace call, which is at the entry of the
    /// function: a few bytes after its symbol on arm64, and on x86-64 with
    /// `CONFIG_X86_KERNEL_IBT`.
    #[inline(always)]
    pub fn address(&self) -> Address {
        self.probe().address()
    }

    /// Returns where the function returns to. That is a trampoline of the kernel's if
    /// the return is followed, too, by a [`Kretprobe`](crate::Kretprobe) of its
    /// caller's for example, which has ended in a jump to this function.
    #[inline(always)]
    pub fn caller(&self) -> Address {
        Address::new(self.hit.parent)
    }

    /// Returns the stack pointer.
    #[inline(always)]
    pub fn sp(&self) -> usize {
        // SAFETY: By the type invariant, `fregs` is that of this hit.
        unsafe { regs::entry_stack_pointer(self.hit.fregs) }
    }

    /// Returns the `n`th argument of the function, from 0. See
    /// [`Context::<Pre>::arg`](Context::arg).
    #[inline(always)]
    pub fn arg<T: FromWord>(&self, n: usize) -> T {
        build_assert!(n < regs::ARGUMENTS);
        // SAFETY: By the type invariant, `fregs` is that of this hit.
        T::from_word(unsafe { regs::entry_argument(self.hit.fregs, n) })
    }

    /// Returns the first arguments of the function, up to six, as a tuple.
    #[inline(always)]
    pub fn args<T: FromWords>(&self) -> T {
        // SAFETY: By the type invariant, `fregs` is that of this hit.
        T::from_words(|n| unsafe { regs::entry_argument(self.hit.fregs, n) })
    }

    /// Returns the arguments of the system call, if the function is its entry point.
    /// See [`Context::<Pre>::syscall_args`](Context::syscall_args).
    ///
    /// # Errors
    ///
    /// `EFAULT` if they cannot be read, because the function is another one; `EOPNOTSUPP` in a system
    /// call of 32 bits.
    #[inline]
    pub fn syscall_args<T: FromWords>(&self) -> Result<T> {
        syscall_args(self.arg(0))
    }

    /// Sets the `n`th argument of the function, which continues with it.
    ///
    /// # Safety
    ///
    /// The function must be correct with this value, for its callers, its callees,
    /// and everything that shares memory with it. If it is used as a pointer, it
    /// must be valid for each of these uses.
    #[inline(always)]
    pub unsafe fn set_arg(&self, n: usize, value: usize) {
        build_assert!(n < regs::ARGUMENTS);
        // SAFETY: By the type invariant, `fregs` is that of this hit. By the safety requirements,
        // the function can continue with `value`.
        unsafe { regs::entry_set_argument(self.hit.fregs, n, value) };
    }
}

impl Context<'_, Trace> {
    /// Creates the context of a hit at a tracepoint.
    #[inline(always)]
    pub(crate) fn trace() -> Self {
        // INVARIANT: `Trace` is not `Probed`.
        Self {
            hit: NoHit,
            _at: PhantomData,
        }
    }
}
