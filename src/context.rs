// SPDX-License-Identifier: GPL-2.0

//! The context that a handler receives. Each kind of probe adds its methods in its own file.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Context: any; nothing here sleeps, locks or faults.

use crate::args::{FromWord, FromWords};
use crate::kernel_ext::symbol::Address;
use crate::prelude::*;
use crate::probe;
#[cfg(CONFIG_PREEMPT_RT)]
use crate::regs::current_field;
use crate::regs::{self, Register};

/// The place at which a handler runs, for example [`kprobe::Pre`](crate::kprobe::Pre).
pub trait Place {
    #[doc(hidden)]
    type Hit: Hit;

    /// Stores return addresses in `to`, as [`Context::stack`] documents. `to` is zeroed and not
    /// empty. `frame` is an address in the stack frame of the callback.
    #[doc(hidden)]
    fn stack(hit: Self::Hit, frame: usize, to: &mut [Address]);

    /// Returns the softirq, hardirq and NMI bits of the `preempt_count()` of the probed code.
    #[doc(hidden)]
    #[inline(always)]
    fn preempt_count(_hit: Self::Hit) -> u32 {
        regs::preempt_count()
    }
}

/// The arguments that the kernel passes to the callback of a probe.
#[allow(unreachable_pub, reason = "sealed")]
#[doc(hidden)]
pub trait Hit: Copy {
    /// Whether the handler may be preempted.
    const PREEMPTIBLE: bool = false;
    /// Whether all CPU registers are saved.
    const SAVED: bool = false;

    /// Returns the saved CPU registers, or null.
    #[inline(always)]
    fn saved(self) -> *mut pt_regs {
        core::ptr::null_mut()
    }

    /// Returns the index of the target that was hit.
    fn index(self) -> usize;
}

/// The context of a hit, which the library passes to the handler.
///
/// Its methods depend on the place `At`: arguments at the entry of a function, the result at its
/// return. Each kind of probe has its own alias, for example
/// [`kprobe::Context`](crate::kprobe::Context).
///
/// # Invariants
///
/// `hit` has the arguments of a callback that runs for the duration of `'a`.
pub struct Context<'a, At: Place> {
    pub(crate) hit: At::Hit,
    // The pointer makes `Context` neither `Send` nor `Sync`.
    _at: PhantomData<(&'a (), *mut At)>,
}

impl<At: Place> Context<'_, At> {
    /// # Safety
    ///
    /// `hit` must have the arguments of a callback, and the lifetime of the result must end with
    /// that call.
    #[inline(always)]
    pub(crate) unsafe fn new(hit: At::Hit) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            hit,
            _at: PhantomData,
        }
    }

    /// Returns the saved CPU registers, or null at a tracepoint or an entry.
    #[inline(always)]
    pub(crate) fn saved(&self) -> *mut pt_regs {
        self.hit.saved()
    }

    /// Returns the index of the target that was hit in a set; 0 for a single probe.
    #[inline(always)]
    pub fn index(&self) -> usize {
        self.hit.index()
    }

    /// Returns the current CPU. Tracepoint handlers may be preempted and migrated; other handlers
    /// stay on the CPU.
    #[inline(always)]
    pub fn cpu(&self) -> u32 {
        regs::cpu()
    }

    /// Returns the monotonic time since boot, without suspend, in nanoseconds.
    ///
    /// Unlike `ktime_get()`, this cannot deadlock in a probe on the timekeeping code.
    ///
    /// C function: `ktime_get_mono_fast_ns()`.
    #[inline(always)]
    pub fn now_ns(&self) -> u64 {
        // SAFETY: The function may be called in any context, NMI included.
        unsafe { bindings::ktime_get_mono_fast_ns() }
    }

    /// Returns the time since boot, suspend included, in nanoseconds.
    ///
    /// During a resume, the result may lack the length of the suspend.
    ///
    /// C function: `ktime_get_boot_fast_ns()`.
    #[inline(always)]
    pub fn boot_ns(&self) -> u64 {
        // SAFETY: The function may be called in any context, NMI included.
        unsafe { bindings::ktime_get_boot_fast_ns() }
    }

    /// Returns whether the probed code runs in task context, like `in_task()`. If it runs in a
    /// softirq, an interrupt or an NMI, [`comm`](Context::comm) and [`pid`](Context::pid) are those
    /// of the interrupted task.
    ///
    /// The kernel enters the breakpoint of a kprobe like an NMI, except on arm64. This method and
    /// the following ones do not count that.
    #[inline(always)]
    pub fn in_task(&self) -> bool {
        !self.in_hardirq() && !self.in_serving_softirq()
    }

    /// Returns whether the probed code serves a softirq or has interrupted one, like
    /// `in_serving_softirq()`. Disabled softirqs do not count, unlike for `in_softirq()`.
    #[doc(alias = "in_softirq")]
    #[inline(always)]
    pub fn in_serving_softirq(&self) -> bool {
        #[cfg(CONFIG_PREEMPT_RT)]
        // SAFETY: `softirq_disable_cnt` is an `int`, and that is its offset.
        let count: u32 = unsafe { current_field(bindings::KPROBES_TASK_BH) };
        #[cfg(not(CONFIG_PREEMPT_RT))]
        let count = At::preempt_count(self.hit);
        count & bindings::KPROBES_SOFTIRQ & !bindings::KPROBES_HARDIRQ != 0
    }

    /// Returns whether the probed code serves an interrupt or an NMI, like `in_hardirq()`.
    #[doc(alias = "in_irq")]
    #[inline(always)]
    pub fn in_hardirq(&self) -> bool {
        At::preempt_count(self.hit) & bindings::KPROBES_HARDIRQ != 0
    }

    /// Returns whether the probed code serves an NMI, like `in_nmi()`.
    #[inline(always)]
    pub fn in_nmi(&self) -> bool {
        At::preempt_count(self.hit) & bindings::KPROBES_NMI != 0
    }
}

/// The places at which the kernel saves all CPU registers: those of kprobes and return probes.
pub trait Probed: Place<Hit = Saved> {}
impl<At: Place<Hit = Saved>> Probed for At {}

/// Declares types that implement [`Place`].
macro_rules! places {
    ($($(#[$doc:meta])* $name:ident: $hit:ty, |$this:ident, $frame:ident, $to:ident| $stack:expr
        $(, $count:expr)?;)*
    ) => {
        $(
            $(#[$doc])*
            pub enum $name {}
            impl $crate::Place for $name {
                type Hit = $hit;

                #[inline(always)]
                fn stack($this: $hit, $frame: usize, $to: &mut [Address]) {
                    $stack
                }

                $(#[inline(always)]
                fn preempt_count($this: $hit) -> u32 {
                    $count
                })?
            }
        )*
    };
}
pub(crate) use places;

/// The arguments of the callback of a kprobe or a kretprobe.
///
/// # Invariants
///
/// For the duration of the callback, `regs` points at the saved CPU registers, which no other code
/// writes, and `kp` points at the registered probe that was hit.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Saved {
    pub(crate) regs: *mut pt_regs,
    kp: *const bindings::kprobe,
}

impl Saved {
    /// Returns a saved CPU register.
    #[inline(always)]
    pub(crate) fn get(self, register: Register) -> usize {
        // SAFETY: By the type invariant, `regs` is valid and no other code writes it.
        unsafe { regs::register(self.regs, register).read() }
    }

    /// Sets a saved CPU register.
    ///
    /// # Safety
    ///
    /// The probed code must be able to continue with `value`.
    #[inline(always)]
    pub(crate) unsafe fn set(self, register: Register, value: usize) {
        // SAFETY: By the type invariant, `regs` is valid. No reference to the registers is live.
        unsafe { regs::register(self.regs, register).write(value) };
    }

    /// Stores the return addresses at a hit of the instruction at `ip`.
    #[inline]
    pub(crate) fn stack(self, ip: usize, to: &mut [Address]) {
        let len = to.len() as c_uint;
        // SAFETY: `to` has `len` words. By the type invariant, `regs` and `kp` are valid.
        unsafe {
            bindings::kprobes_stack_probed(to.as_mut_ptr().cast(), len, self.regs, self.kp, ip)
        };
    }

    /// Returns the `preempt_count()` of the probed code, without the count that the breakpoint has
    /// added. `by_jump` is whether an optimized kprobe may have called the handler.
    #[inline(always)]
    pub(crate) fn preempt_count(self, by_jump: bool) -> u32 {
        // SAFETY: By the type invariant, `kp` is registered. The read is volatile because the
        // kernel may set other flags concurrently.
        let flags = unsafe { ptr::read_volatile(&raw const (*self.kp).flags) };
        let sp = self.get(Register::STACK_POINTER);
        // An optimized kprobe saves the registers right below the stack of the probed code. An
        // exception pushes more words.
        let by_jump = cfg!(CONFIG_OPTPROBES) && by_jump && self.regs.wrapping_add(1) as usize == sp;
        let by_breakpoint = flags & bindings::KPROBE_FLAG_FTRACE == 0 && !by_jump;
        regs::preempt_count().wrapping_sub(u32::from(by_breakpoint) * bindings::KPROBES_BREAKPOINT)
    }

    #[inline(always)]
    pub(crate) fn kprobe(&self) -> &bindings::kprobe {
        // SAFETY: By the type invariant, `kp` is valid for the duration of the callback.
        unsafe { &*self.kp }
    }

    /// Returns the address of the probe.
    #[inline(always)]
    pub(crate) fn address(self) -> usize {
        // SAFETY: By the type invariant, `kp` is registered, so its `addr` does not change.
        unsafe { (*self.kp).addr as usize }
    }
}

/// Calls `method` with the handler of the probe that was hit and with the context.
///
/// # Safety
///
/// `raw` must be a probe of `O`. `raw` and `regs` must be the arguments of a callback.
#[inline(always)]
pub(crate) unsafe fn call<O: probe::Owner<R>, R: probe::Kprobes, At: Probed, T>(
    raw: *mut R,
    regs: *mut pt_regs,
    method: impl FnOnce(&O::Handler, &Context<'_, At>) -> T,
) -> T {
    // SAFETY: By the safety requirements, `raw` is a probe of `O`, and unregistering it waits for
    // this call.
    let handler = unsafe { O::handler(raw) };
    // INVARIANT: By the safety requirements, both are the arguments of the callback. A
    // `struct kprobe` is the first field of `raw`.
    let hit = Saved {
        regs,
        kp: raw.cast(),
    };
    // SAFETY: `regs` and `raw` are valid for the duration of this call, in which `cx` is dropped.
    let cx = unsafe { Context::new(hit) };
    method(handler, &cx)
}

impl Hit for Saved {
    const SAVED: bool = true;

    #[inline(always)]
    fn saved(self) -> *mut pt_regs {
        self.regs
    }

    #[inline(always)]
    fn index(self) -> usize {
        // SAFETY: By the type invariant, `kp` points at the C struct of a registered probe.
        unsafe { probe::index_of(self.kp) }
    }
}

impl<At: Probed> Context<'_, At> {
    /// Returns the probed address.
    #[inline(always)]
    pub fn address(&self) -> Address {
        Address::new(self.hit.address())
    }

    /// Returns the instruction pointer in the saved registers. In `pre`, this is the probed address
    /// on arm64 and riscv64, and that address plus 1 on x86-64, for every mechanism.
    #[inline(always)]
    pub fn ip(&self) -> usize {
        self.hit.get(Register::INSTRUCTION_POINTER)
    }

    /// Returns the stack pointer in the saved registers.
    #[inline(always)]
    pub fn sp(&self) -> usize {
        self.hit.get(Register::STACK_POINTER)
    }

    /// Returns the CPU flags in the saved registers.
    #[inline(always)]
    pub fn flags(&self) -> usize {
        self.hit.get(Register::FLAGS)
    }

    /// Returns a saved CPU register by its name on this architecture.
    #[inline(always)]
    pub fn register(&self, register: Register) -> usize {
        self.hit.get(register)
    }

    /// Sets a saved CPU register, with which the probed code continues. In
    /// [`pre`](crate::kprobe::Handler::pre), the kernel ignores a new instruction pointer; use
    /// [`Redirect`](crate::Redirect) to set it.
    ///
    /// # Safety
    ///
    /// From the probed instruction on, the probed code must be correct with this value in this
    /// register, for its callers, its callees, and all code that shares memory with it. A value
    /// that this code uses as a pointer must be valid for each use.
    #[inline(always)]
    pub unsafe fn set_register(&self, register: Register, value: usize) {
        // SAFETY: By the safety requirements, the probed code can continue with `value`.
        unsafe { self.hit.set(register, value) };
    }
}

/// The places at which the argument registers have the arguments of the probed function.
///
/// # Safety
///
/// The methods must access the argument registers of the hit.
pub unsafe trait AtCall: Place {
    /// Returns the `n`th argument.
    #[doc(hidden)]
    fn argument(hit: Self::Hit, n: usize) -> usize;

    /// Sets the `n`th argument.
    ///
    /// # Safety
    ///
    /// The probed code must be able to continue with `value`.
    #[doc(hidden)]
    unsafe fn set_argument(hit: Self::Hit, n: usize, value: usize);
}

macro_rules! arguments {
    ($($(#[$cfg:meta])? $n:literal $arg:ident $set_arg:ident;)*) => {
        $(
            #[doc = concat!("Returns argument ", $n, " of the probed function, the first being 0,")]
            /// from its register in the C calling convention. x86-64 passes six arguments in
            /// registers, arm64 and riscv64 eight.
            ///
            /// After the entry of the function, the register may have another value.
            ///
            /// A struct of up to 16 bytes passed by value takes one register for each 8 bytes. A
            /// larger struct is on the stack on x86-64; on arm64 and riscv64, one register points
            /// at it. On x86-64, the first argument of a function that returns a larger struct is a
            /// pointer to the result.
            $(#[$cfg])?
            #[inline(always)]
            pub fn $arg<T: FromWord>(&self) -> T {
                T::from_word(At::argument(self.hit, $n))
            }

            #[doc = concat!("Sets argument ", $n, " of the probed function.")]
            ///
            /// # Safety
            ///
            /// The probe must be at the function's entry. The function must be correct with this
            /// value, for its callers, its callees, and all code that shares memory with it. A
            /// value that this code uses as a pointer must be valid for each use.
            $(#[$cfg])?
            #[inline(always)]
            pub unsafe fn $set_arg(&self, value: usize) {
                // SAFETY: By the safety requirements, the function can continue with `value`.
                unsafe { At::set_argument(self.hit, $n, value) };
            }
        )*
    };
}

impl<At: AtCall> Context<'_, At> {
    arguments! {
        0 arg0 set_arg0;
        1 arg1 set_arg1;
        2 arg2 set_arg2;
        3 arg3 set_arg3;
        4 arg4 set_arg4;
        5 arg5 set_arg5;
        #[cfg(not(CONFIG_X86_64))] 6 arg6 set_arg6;
        #[cfg(not(CONFIG_X86_64))] 7 arg7 set_arg7;
    }

    /// Returns up to six arguments of the probed function as a tuple, see [`arg0`](Context::arg0).
    #[inline(always)]
    pub fn args<T: FromWords>(&self) -> T {
        T::from_words(|n| At::argument(self.hit, n))
    }
}
