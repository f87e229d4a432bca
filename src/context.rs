// SPDX-License-Identifier: GPL-2.0

//! What a handler may ask about the hit that it was called for.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! All of it may be called in the context of a handler: none of it sleeps,
//! takes a lock or faults.

use crate::{
    args::{
        FromRegister,
        FromRegisters, //
    },
    bindings,
    nofault::KernelPtr,
    regs,
    symbol::Address, //
};
use core::{
    cell::Cell,
    marker::PhantomData, //
};
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

pub use regs::Register;

/// Marks a [`Context`] before the probed instruction.
pub enum Pre {}
/// Marks a [`Context`] after the probed instruction.
pub enum Post {}
/// Marks a [`Context`] at the return of the probed function.
pub enum Return {}
/// Marks a [`Context`] at a tracepoint.
pub enum Trace {}

/// Where a [`Context`] comes with the registers of the probed code.
pub trait Probed {}
impl Probed for Pre {}
impl Probed for Post {}
impl Probed for Return {}

/// One hit, as its handler sees it.
///
/// Only the library makes one, it cannot leave the call that it was made for,
/// nor the CPU. What can be asked depends on `At`: arguments before the probed
/// instruction, the result at the return.
///
/// Since Linux 7.2.
///
/// # Invariants
///
/// Where `At` is [`Probed`], for `'a`, `regs` points at the registers that the
/// kernel saved at the hit, which nobody else writes, and `kp` at the
/// registered probe that was hit.
pub struct Context<'a, At = Pre> {
    // Raw pointers, which also make it neither `Send` nor `Sync`.
    regs: *mut bindings::pt_regs,
    kp: *const bindings::kprobe,
    index: usize,
    can_skip: bool,
    skips: Cell<bool>,
    _at: PhantomData<(&'a (), At)>,
}

impl<At> Context<'_, At> {
    /// The CPU that the hit is on.
    #[inline(always)]
    pub fn cpu(&self) -> u32 {
        CpuId::current().as_u32()
    }

    /// The current task's id, which is what users call the thread id
    /// (`task_struct::pid`, in the initial namespace).
    #[inline(always)]
    pub fn pid(&self) -> Pid {
        // SAFETY: `pid` is a `pid_t`, and that is its offset.
        unsafe { current_field(bindings::KPROBES_TASK_PID) }
    }

    /// The current task's thread group id, which is what users call the
    /// process id (`task_struct::tgid`, in the initial namespace).
    #[inline(always)]
    pub fn tgid(&self) -> Pid {
        // SAFETY: `tgid` is a `pid_t`, and that is its offset.
        unsafe { current_field(bindings::KPROBES_TASK_TGID) }
    }

    /// The current task's name.
    ///
    /// Where another thread changes the name at this moment, the copy may be a
    /// mix of both.
    #[inline(always)]
    pub fn comm(&self) -> Comm {
        // SAFETY: `comm` is an array of `TASK_COMM_LEN` bytes, and that is its offset.
        Comm(unsafe { current_field(bindings::KPROBES_TASK_COMM) })
    }

    /// The current task's effective user id, in the initial namespace
    /// (`current_euid()`).
    #[inline(always)]
    pub fn euid(&self) -> u32 {
        // SAFETY: `cred` is a pointer to a `struct cred`, and that is its offset. Only the task
        // itself replaces it, so what it points at stays while the task is here; `euid` of
        // credentials that a task has never changes.
        unsafe {
            let cred: *const u8 = current_field(bindings::KPROBES_TASK_CRED);
            cred.byte_add(bindings::KPROBES_CRED_EUID)
                .cast::<u32>()
                .read()
        }
    }

    /// Whether the current task is a kernel thread (`PF_KTHREAD`).
    #[inline(always)]
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
        can_skip: bool,
    ) -> Self {
        // INVARIANT: By this function's contract.
        Self {
            regs,
            kp,
            index,
            can_skip,
            skips: Cell::new(false),
            _at: PhantomData,
        }
    }

    #[inline(always)]
    fn regs(&self) -> &bindings::pt_regs {
        // SAFETY: By the type invariant `regs` is valid and written by nobody else. What writes it
        // here does so through `&self`, too, and holds no such reference meanwhile.
        unsafe { &*self.regs }
    }

    /// Which of the set's targets was hit, from 0; 0 for a single probe.
    #[inline(always)]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The address that was probed.
    #[inline(always)]
    pub fn address(&self) -> Address {
        // SAFETY: `kp` is valid by the type invariant, and nobody writes `addr` of a probe that is
        // registered.
        Address::new(unsafe { (*self.kp).addr } as usize)
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
        unsafe { regs::register(self.regs, register).read() }
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
        unsafe { regs::register(self.regs, register).write(value) };
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
    pub fn arg<T: FromRegister>(&self, n: usize) -> T {
        build_assert!(n < regs::ARGUMENTS);
        T::from_register(regs::argument(self.regs(), n))
    }

    /// The first arguments of the probed function, up to six, as a tuple. See
    /// [`Context::arg`].
    #[inline(always)]
    pub fn args<T: FromRegisters>(&self) -> T {
        T::from_registers(|n| regs::argument(self.regs(), n))
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
    pub fn syscall_args<T: FromRegisters>(&self) -> Result<T> {
        let user: KernelPtr<bindings::pt_regs> = self.arg(0);
        let mut user_regs = core::mem::MaybeUninit::<bindings::pt_regs>::uninit();
        user.read_raw(&mut user_regs)?;
        // SAFETY: `read_raw` has filled it, and a `struct pt_regs` consists of integers.
        let user_regs = unsafe { user_regs.assume_init_ref() };
        Ok(T::from_registers(|n| regs::syscall_argument(user_regs, n)))
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
        unsafe { regs::set_argument(self.regs, n, value) };
    }

    /// Returns from the probed function at once with this result: it does not
    /// run at all, nor do the handlers of other probes at this place, as far as
    /// they were registered before this one: for them, this call is neither a
    /// hit nor [missed](crate::Probe::missed).
    ///
    /// The handler must have a [`post`](crate::Handler::post) method, which may
    /// be empty. It keeps the kernel from turning the probe into a jump, which
    /// ignores what a handler does to the flow (arm64 has no such jumps, and wants
    /// the method all the same); it is not called for a hit that skips. Where somebody else changes the function's flow at its entry, as a
    /// live patch does, either may win.
    ///
    /// # Errors
    ///
    /// - `EOPNOTSUPP`: the handler has no `post`, or is that of a [`Kretprobe`](crate::Kretprobe);
    /// - `EINVAL`: the probe is not at the function's entry.
    ///
    /// The function runs as ever then.
    ///
    /// # Safety
    ///
    /// The caller must be as well off with `ret` as if the function had run
    /// and returned it: locks, reference counts and memory that it takes or
    /// gives, what it writes, and what its callers conclude from the result.
    #[inline]
    pub unsafe fn skip_function(&self, ret: usize) -> Result {
        if !self.can_skip {
            return Err(Error::from_errno(-(bindings::EOPNOTSUPP as c_int)));
        }
        // SAFETY: `kp` is valid by the type invariant; the flag is set before it is hit.
        let flags = unsafe { (&raw const (*self.kp).flags).read_volatile() };
        if flags & bindings::KPROBE_FLAG_ON_FUNC_ENTRY == 0 {
            return Err(EINVAL);
        }
        // SAFETY: `regs` are those of a function's entry. That the function may be skipped is this
        // function's contract, and `skips` tells the kernel not to go on with it.
        unsafe { regs::skip_function(self.regs, ret) };
        self.skips.set(true);
        Ok(())
    }

    /// Whether the handler skipped the function.
    #[inline(always)]
    pub(crate) fn skips(&self) -> bool {
        self.skips.get()
    }
}

impl Context<'_, Return> {
    /// The result of the probed function, read from the register that the C
    /// calling convention puts it in.
    ///
    /// `T` must be what the function returns: a `Result` decodes the kernel's
    /// errors, see [`FromRegister`]. What a function left there that returns
    /// nothing has no meaning.
    #[inline(always)]
    pub fn ret<T: FromRegister>(&self) -> T {
        T::from_register(regs::return_value(self.regs()))
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
        unsafe { regs::set_return_value(self.regs, value) };
    }
}

impl Context<'_, Trace> {
    /// The context of a hit without registers.
    #[inline(always)]
    pub(crate) fn trace() -> Self {
        // INVARIANT: `Trace` is not `Probed`.
        Self {
            regs: core::ptr::null_mut(),
            kp: core::ptr::null(),
            index: 0,
            can_skip: false,
            skips: Cell::new(false),
            _at: PhantomData,
        }
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

/// The name of a task, as `task_struct::comm` holds it.
///
/// Displaying it escapes what is not printable ASCII: a program chooses its
/// name itself, and must not be able to write lines or terminal codes into a
/// log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Comm([u8; bindings::TASK_COMM_LEN as usize]);

impl Comm {
    /// The bytes of the name, without the NUL.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        &self.0[..len]
    }
}

impl fmt::Display for Comm {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(BStr::from_bytes(self.as_bytes()), f)
    }
}
