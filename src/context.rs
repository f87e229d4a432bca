// SPDX-License-Identifier: GPL-2.0

//! What a handler may ask about the hit that it was called for.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! All of it may be called in the context of a handler: none of it sleeps,
//! takes a lock or faults.

use crate::{
    args::FromRegister,
    bindings,
    regs,
    symbol::Address, //
};
use core::marker::PhantomData;
use kernel::{
    cpu::CpuId,
    fmt,
    prelude::*,
    str::BStr,
    task::{
        Pid,
        Task, //
    }, //
};

/// Marks a [`Context`] before the probed instruction.
pub enum Pre {}
/// Marks a [`Context`] after the probed instruction.
pub enum Post {}
/// Marks a [`Context`] at the return of the probed function.
pub enum Return {}

/// One hit of a probe, as its handler sees it.
///
/// Only the library makes one, it cannot leave the call that it was made for,
/// nor the CPU. What can be asked depends on `At`: arguments before the probed
/// instruction, the result at the return.
///
/// # Invariants
///
/// For `'a`, `regs` points at the registers that the kernel saved at the hit,
/// which nobody else writes, and `kp` at the registered probe that was hit.
pub struct Context<'a, At = Pre> {
    // Raw pointers, which also make it neither `Send` nor `Sync`.
    regs: *mut bindings::pt_regs,
    kp: *const bindings::kprobe,
    _at: PhantomData<(&'a (), At)>,
}

impl<'a, At> Context<'a, At> {
    /// # Safety
    ///
    /// `regs` and `kp` must be what the kernel passes to a handler, and `'a` must end with it.
    #[inline(always)]
    pub(crate) unsafe fn new(regs: *mut bindings::pt_regs, kp: *const bindings::kprobe) -> Self {
        // INVARIANT: By this function's contract.
        Self {
            regs,
            kp,
            _at: PhantomData,
        }
    }

    #[inline(always)]
    fn regs(&self) -> &bindings::pt_regs {
        // SAFETY: By the type invariant `regs` is valid and written by nobody else, and nothing
        // here writes it while the reference lasts.
        unsafe { &*self.regs }
    }

    /// The address that was probed.
    pub fn address(&self) -> Address {
        // SAFETY: `kp` is valid by the type invariant, and nobody writes `addr` of a probe that is
        // registered.
        Address::new(unsafe { (*self.kp).addr } as usize)
    }

    /// The instruction pointer in the saved registers.
    pub fn ip(&self) -> usize {
        regs::instruction_pointer(self.regs())
    }

    /// The stack pointer in the saved registers.
    pub fn sp(&self) -> usize {
        regs::stack_pointer(self.regs())
    }

    /// The processor's flags in the saved registers.
    pub fn flags(&self) -> usize {
        regs::flags(self.regs())
    }

    /// The CPU that the hit is on.
    pub fn cpu(&self) -> u32 {
        CpuId::current().as_u32()
    }

    /// The current task's id, which is what users call the thread id
    /// (`task_struct::pid`, in the initial namespace).
    pub fn pid(&self) -> Pid {
        // SAFETY: `pid` is a `pid_t`, and that is its offset.
        unsafe { current_field(bindings::KPROBES_TASK_PID) }
    }

    /// The current task's thread group id, which is what users call the
    /// process id (`task_struct::tgid`, in the initial namespace).
    pub fn tgid(&self) -> Pid {
        // SAFETY: `tgid` is a `pid_t`, and that is its offset.
        unsafe { current_field(bindings::KPROBES_TASK_TGID) }
    }

    /// The current task's name.
    ///
    /// Where another thread changes the name at this moment, the copy may be a
    /// mix of both.
    pub fn comm(&self) -> Comm {
        // SAFETY: `comm` is an array of `TASK_COMM_LEN` bytes, and that is its offset.
        Comm(unsafe { current_field(bindings::KPROBES_TASK_COMM) })
    }

    /// Whether the current task is a kernel thread (`PF_KTHREAD`).
    pub fn is_kernel_thread(&self) -> bool {
        // SAFETY: `flags` is an `unsigned int`, and that is its offset.
        let flags: c_uint = unsafe { current_field(bindings::KPROBES_TASK_FLAGS) };
        flags & bindings::PF_KTHREAD != 0
    }

    /// Nanoseconds since the boot, on the monotonic clock.
    ///
    /// Safe at every probe, also one in the timekeeping code itself, where
    /// `ktime_get()` could wait for ever. C function
    /// `ktime_get_mono_fast_ns()`.
    pub fn now_ns(&self) -> u64 {
        // SAFETY: The function may be called in any context, NMI included.
        unsafe { bindings::ktime_get_mono_fast_ns() }
    }
}

/// A field of the current task.
///
/// # Safety
///
/// `struct task_struct` must have a `T` at `offset`, for which every content is
/// a value.
#[inline(always)]
unsafe fn current_field<T: Copy>(offset: usize) -> T {
    // SAFETY: `current` is valid while it runs, and by this function's contract there is a `T` at
    // that offset. Others may write it meanwhile, hence volatile.
    unsafe {
        Task::current_raw()
            .byte_add(offset)
            .cast::<T>()
            .read_volatile()
    }
}

impl Context<'_, Pre> {
    /// The `n`th argument of the probed function, from 0, read from the
    /// register that the C calling convention puts it in.
    ///
    /// That is the argument at the function's entry. Anywhere else it is just
    /// that register. An `n` without a register of its own does not compile.
    #[inline(always)]
    pub fn arg<T: FromRegister>(&self, n: usize) -> T {
        build_assert!(n < regs::ARGUMENTS);
        T::from_register(regs::argument(self.regs(), n))
    }
}

impl Context<'_, Return> {
    /// The result of the probed function, read from the register that the C
    /// calling convention puts it in.
    ///
    /// What a function left there that returns nothing has no meaning.
    #[inline(always)]
    pub fn ret<T: FromRegister>(&self) -> T {
        T::from_register(regs::return_value(self.regs()))
    }
}

/// The name of a task, as `task_struct::comm` holds it.
///
/// Displaying it escapes what is not printable ASCII: a program chooses its
/// name itself, and must not be able to write lines or terminal codes into a
/// log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Comm([u8; bindings::TASK_COMM_LEN as usize]);

impl Comm {
    /// The bytes of the name, without the NUL.
    pub fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        &self.0[..len]
    }
}

impl fmt::Display for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(BStr::from_bytes(self.as_bytes()), f)
    }
}
