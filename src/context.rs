// SPDX-License-Identifier: GPL-2.0

//! One hit, as its handler sees it.
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
    kernel_ext::{
        nofault::KernelPtr,
        symbol::Address, //
    },
    regs::{
        self,
        Register, //
    }, //
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

/// Where a [`Context`] is from. Nothing else can be one.
pub trait Place {
    #[doc(hidden)]
    type Hit: Copy;
}

/// Where a [`Context`] comes with the registers of the probed code.
pub trait Probed: Place<Hit = Hit> {}

macro_rules! places {
    ($($place:ident: $hit:ty),*) => {
        $(impl Place for $place {
            type Hit = $hit;
        })*
    };
}

places!(Pre: Hit, Post: Hit, Return: Hit, Trace: NoHit);
impl Probed for Pre {}
impl Probed for Post {}
impl Probed for Return {}

/// What the kernel passes to a handler of a kprobe or a kretprobe.
#[derive(Clone, Copy)]
pub struct Hit {
    regs: *mut bindings::pt_regs,
    kp: *const bindings::kprobe,
    index: usize,
}

/// What there is to know of a hit at a tracepoint.
#[derive(Clone, Copy)]
pub struct NoHit;

/// One hit, as its handler sees it.
///
/// Only the library makes one, and it cannot leave the call that it was made
/// for. What can be asked depends on `At`: arguments before the probed
/// instruction, the result at the return.
///
/// # Invariants
///
/// Where `At` is [`Probed`], for the duration of `'a`, `regs` of the hit points at
/// the registers that the kernel saved, which nobody else writes, and `kp` at the
/// registered probe that was hit.
pub struct Context<'a, At: Place = Pre> {
    hit: At::Hit,
    // The pointer makes it neither `Send` nor `Sync`.
    _at: PhantomData<(&'a (), *mut At)>,
}

impl<At: Place> Context<'_, At> {
    /// The current CPU. A handler of a kprobe or a kretprobe stays on it; that of
    /// a tracepoint may be preempted, and moved.
    #[inline(always)]
    pub fn cpu(&self) -> u32 {
        CpuId::current().as_u32()
    }

    /// Nanoseconds since the boot, on the monotonic clock.
    ///
    /// Safe at every probe, also one in the timekeeping code itself, where
    /// `ktime_get()` could wait for ever. C function
    /// `ktime_get_mono_fast_ns()`.
    #[inline(always)]
    pub fn now_ns(&self) -> u64 {
        // SAFETY: The function may be called in any context, NMI included.
        unsafe { bindings::ktime_get_mono_fast_ns() }
    }
}

impl<At: Probed> Context<'_, At> {
    /// # Safety
    ///
    /// `regs` and `kp` must be what the kernel passes to a handler, and the
    /// lifetime of the result must end with it.
    #[inline(always)]
    pub(crate) unsafe fn new(
        regs: *mut bindings::pt_regs,
        kp: *const bindings::kprobe,
        index: usize,
    ) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            hit: Hit { regs, kp, index },
            _at: PhantomData,
        }
    }

    #[inline(always)]
    fn regs(&self) -> &bindings::pt_regs {
        // SAFETY: By the type invariant `regs` is valid and written by nobody else. What writes it
        // here does so through `&self`, too, and holds no such reference meanwhile.
        unsafe { &*self.hit.regs }
    }

    /// Which of the set's targets was hit, from 0; 0 for a single probe.
    #[inline(always)]
    pub fn index(&self) -> usize {
        self.hit.index
    }

    /// The address that was probed.
    #[inline(always)]
    pub fn address(&self) -> Address {
        // SAFETY: `kp` is valid by the type invariant, and nobody writes `addr` of a probe that is
        // registered.
        Address::new(unsafe { (*self.hit.kp).addr } as usize)
    }

    /// The instruction pointer in the saved registers: before the probed
    /// instruction its address on arm64, and one more on x86-64, behind the
    /// breakpoint (or as if there were one).
    #[inline(always)]
    pub fn ip(&self) -> usize {
        regs::instruction_pointer(self.regs())
    }

    /// The stack pointer in the saved registers.
    #[inline(always)]
    pub fn sp(&self) -> usize {
        regs::stack_pointer(self.regs())
    }

    /// The processor's flags in the saved registers.
    #[inline(always)]
    pub fn flags(&self) -> usize {
        regs::flags(self.regs())
    }

    /// A register of the probed code, which only code for one architecture
    /// should ask for.
    #[inline(always)]
    pub fn register(&self, register: Register) -> usize {
        // SAFETY: `regs` is valid by the type invariant.
        unsafe { regs::register(self.hit.regs, register).read() }
    }

    /// Sets a register of the probed code, which goes on with it.
    ///
    /// # Safety
    ///
    /// The probed code must keep every promise that it makes with this value
    /// in this register, from the probed instruction on: towards its callers,
    /// its callees, and whoever shares memory with it. A value that points
    /// anywhere must be valid for every use that follows.
    #[inline(always)]
    pub unsafe fn set_register(&self, register: Register, value: usize) {
        // SAFETY: `regs` is valid by the type invariant, and nobody holds a reference into it.
        unsafe { regs::register(self.hit.regs, register).write(value) };
    }
}

impl Context<'_, Pre> {
    /// The `n`th argument of the probed function, from 0, read from the
    /// register that the C calling convention puts it in.
    ///
    /// That is the argument at the function's entry. Anywhere else it is just
    /// that register. A module with an `n` that has no register of its own does
    /// not build: modpost misses `rust_build_error`.
    #[inline(always)]
    pub fn arg<T: FromWord>(&self, n: usize) -> T {
        build_assert!(n < regs::ARGUMENTS);
        T::from_word(regs::argument(self.regs(), n))
    }

    /// The first arguments of the probed function, up to six, as a tuple. See
    /// [`Context::arg`].
    #[inline(always)]
    pub fn args<T: FromWords>(&self) -> T {
        T::from_words(|n| regs::argument(self.regs(), n))
    }

    /// The arguments of the system call, where the probed function is its
    /// entry point: `__x64_sys_*` on x86-64, `__arm64_sys_*` on arm64.
    ///
    /// Such a function takes a pointer to the registers of the program that
    /// made the call.
    ///
    /// # Errors
    ///
    /// `EFAULT` where there are no such registers, because the probed function
    /// is another one.
    #[inline]
    pub fn syscall_args<T: FromWords>(&self) -> Result<T> {
        let user: KernelPtr<bindings::pt_regs> = self.arg(0);
        let mut user_regs = core::mem::MaybeUninit::<bindings::pt_regs>::uninit();
        user.read_raw(&mut user_regs)?;
        // SAFETY: `read_raw` has filled it, and a `struct pt_regs` consists of integers.
        let user_regs = unsafe { user_regs.assume_init_ref() };
        Ok(T::from_words(|n| regs::syscall_argument(user_regs, n)))
    }

    /// Sets the `n`th argument of the probed function, which goes on with it.
    ///
    /// # Safety
    ///
    /// As for [`Context::set_register`]; the probe must be at the function's
    /// entry.
    #[inline(always)]
    pub unsafe fn set_arg(&self, n: usize, value: usize) {
        build_assert!(n < regs::ARGUMENTS);
        // SAFETY: `regs` is valid by the type invariant, and nobody holds a reference into it.
        unsafe { regs::set_argument(self.hit.regs, n, value) };
    }
}

impl Context<'_, Return> {
    /// The result of the probed function, read from the register that the C
    /// calling convention puts it in.
    ///
    /// `T` must be what the function returns: a `Result` decodes the kernel's
    /// errors, see [`FromWord`]. What a function left there that returns
    /// nothing has no meaning.
    #[inline(always)]
    pub fn ret<T: FromWord>(&self) -> T {
        T::from_word(regs::return_value(self.regs()))
    }

    /// Lets the probed function return this instead.
    ///
    /// # Safety
    ///
    /// The caller must be as well off with `value` as with what the function
    /// returned, having done what it did.
    #[inline(always)]
    pub unsafe fn set_ret(&self, value: usize) {
        // SAFETY: `regs` is valid by the type invariant, and nobody holds a reference into it.
        unsafe { regs::set_return_value(self.hit.regs, value) };
    }
}

impl Context<'_, Trace> {
    /// The context of a hit at a tracepoint.
    #[inline(always)]
    pub(crate) fn trace() -> Self {
        // INVARIANT: `Trace` is not `Probed`.
        Self {
            hit: NoHit,
            _at: PhantomData,
        }
    }
}
