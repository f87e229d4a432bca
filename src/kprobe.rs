// SPDX-License-Identifier: GPL-2.0

//! Kprobes: handlers before and after an instruction.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Context: probed context, preemption disabled. Handlers must not sleep. They may run on several
//! CPUs at once, and may interrupt any code, as an NMI does, including the holder of a lock. So a
//! handler must not wait for a lock; it uses `try_lock`, atomics or per-CPU counters.
//!
//! # Errors
//!
//! Registering a kprobe fails with an error of the kernel's:
//!
//! - `ENOENT`: no such symbol, or its module is being unloaded;
//! - `EILSEQ`: the target is not at an instruction boundary; on arm64, this is `EINVAL`;
//! - `EINVAL`: the target cannot be probed (NOKPROBE, `notrace`, not in text, next to the ftrace
//!   call at a function's entry);
//! - `ENODEV`: the probe needs ftrace, which the kernel has disabled after an error;
//! - the error of arming the probe, which `register_kprobe()` does not report.

use crate::common::*;

probe::kind! {
    /// The kind of a [`Kprobe`].
    Kind(c"kprobe", probe::NO_PLACE): Safe = bindings::kprobe, (), for<'a> Target<'a> => Calls<'a>,
    |O, target, options| {
        const { assert!(H::HAS_PRE || H::HAS_POST, "a Handler needs pre or post") };
        Calls {
            target,
            disabled: options.disabled,
            function_entry: false,
            pre: probe::optional(H::HAS_PRE, Callbacks::<O>::pre),
            post: probe::optional(H::HAS_POST, Callbacks::<O>::post),
            both: probe::optional(H::HAS_POST, Callbacks::<O>::both),
        }
    }
}

/// A registered kprobe and its handler. See [`Probe`] for what it can do.
///
/// C functions: `register_kprobe()`, `unregister_kprobe()`.
pub type Kprobe<H> = probe::Probe<Kind, H>;

/// Kprobes at several targets that share a handler. See [`Set`] for what it can do.
///
/// C functions: `register_kprobe()`, `unregister_kprobes()`.
pub type KprobeSet<H> = probe::Set<Kind, H>;

context::places! {
    /// The moment before the probed instruction.
    Pre: Saved, |hit, _frame, to| hit.stack(hit.address(), to), hit.preempt_count(true);
    /// The moment after the probed instruction.
    Post: Saved, |hit, _frame, to| hit.stack(hit.get(Register::INSTRUCTION_POINTER), to),
        hit.preempt_count(false);
}

// SAFETY: The saved registers are those of this hit.
unsafe impl AtCall for Pre {
    #[inline(always)]
    fn argument(hit: Saved, n: usize) -> usize {
        hit.get(Register::argument(n))
    }

    #[inline(always)]
    unsafe fn set_argument(hit: Saved, n: usize, value: usize) {
        // SAFETY: By the safety requirements, the function can continue with `value`.
        unsafe { hit.set(Register::argument(n), value) };
    }
}

/// What [`Handler::pre`] can find out.
pub type Context<'a> = context::Context<'a, Pre>;
/// What [`Handler::post`] can find out.
pub type PostContext<'a> = context::Context<'a, Post>;

/// Callbacks of a [`Kprobe`] or a [`KprobeSet`].
///
/// The callback of a method that is not implemented is `NULL` in C. Implement
/// [`post`](Handler::post) only where it is needed: it rules out jump optimisation.
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// Called before the probed instruction.
    ///
    /// Context: probed context, preemption disabled.
    fn pre(&self, _cx: &Context<'_>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called after the probed instruction.
    ///
    /// Context: probed context, preemption disabled.
    fn post(&self, _cx: &PostContext<'_>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called once, after the probe is unregistered and all handlers have finished, with the final
    /// [`missed`](probe::Registered::missed), of a set the sum. Use it to report totals.
    ///
    /// Context: process context, in the drop; it may sleep.
    fn unregistered(&self, _missed: u64) {}
}

impl Target<'_> {
    /// Registers a kprobe here, disabled and without a handler, and unregisters it.
    ///
    /// Context: process context; it sleeps.
    ///
    /// Errors: those of a [kprobe](crate::kprobe#errors), but for that of arming it; `EDEADLK` if
    /// the caller must not sleep; `ENOMEM`.
    #[inline]
    pub fn check(self) -> Result {
        probe::try_out::<bindings::kprobe>(&Calls {
            target: self,
            disabled: true,
            function_entry: false,
            pre: None,
            post: None,
            both: None,
        })
    }
}

// SAFETY: A `struct kprobe` consists of integers and nullable pointers.
unsafe impl Kprobes for bindings::kprobe {
    type Plan<'a> = Calls<'a>;
    const REGISTER: unsafe extern "C" fn(*mut Self) -> c_int = bindings::register_kprobe;
    const RETURNS: bool = false;
}

/// `kprobe_pre_handler_t`.
pub(crate) type PreCall = unsafe extern "C" fn(*mut bindings::kprobe, *mut pt_regs) -> c_int;
/// `kprobe_post_handler_t`.
type PostCall = unsafe extern "C" fn(*mut bindings::kprobe, *mut pt_regs, c_ulong);

/// The target of a kprobe and its callbacks.
///
/// At an ftrace call, the probed instruction has no effect of its own, so `both` calls the post
/// handler right after the pre handler. `post_handler` is `NULL` there, so the kernel does not
/// claim `FTRACE_OPS_FL_IPMODIFY` for the probe.
#[derive(Clone, Copy)]
#[doc(hidden)]
pub struct Calls<'a> {
    target: Target<'a>,
    disabled: bool,
    /// Whether the probe is refused unless it is at the entry of a function.
    function_entry: bool,
    pre: Option<PreCall>,
    post: Option<PostCall>,
    both: Option<PreCall>,
}

impl<'a> Calls<'a> {
    /// The callbacks of a probe whose pre handler lets the probed code continue elsewhere. With a
    /// post handler, the kernel does not optimise the probe.
    #[inline(always)]
    pub(crate) fn diverting(
        target: Target<'a>,
        options: Options,
        function_entry: bool,
        pre: PreCall,
    ) -> Self {
        #[inline]
        extern "C" fn post(_: *mut bindings::kprobe, _: *mut pt_regs, _: c_ulong) {}

        Self {
            target,
            disabled: options.disabled,
            function_entry,
            pre: Some(pre),
            post: Some(post),
            both: Some(pre),
        }
    }
}

// SAFETY: `Handles::plan` has the callbacks for the type that owns the probe.
unsafe impl Plan<bindings::kprobe> for Calls<'_> {
    #[inline(always)]
    fn fill(&self, kp: &mut bindings::kprobe, round: Round) {
        self.target.fill(kp);
        kp.pre_handler = self.pre;
        if round == Round::Again {
            kp.post_handler = self.post;
        }
    }

    #[inline(always)]
    unsafe fn settle(&self, kp: *mut bindings::kprobe) -> Result<Round> {
        if self.post.is_none() {
            return Ok(Round::First);
        }
        // SAFETY: By the safety requirements, `kp` is registered. The kernel may set
        // `KPROBE_FLAG_GONE` concurrently, hence volatile.
        let flags = unsafe { ptr::read_volatile(&raw const (*kp).flags) };
        if self.function_entry && flags & bindings::KPROBE_FLAG_ON_FUNC_ENTRY == 0 {
            return Err(EINVAL);
        }
        if flags & bindings::KPROBE_FLAG_FTRACE == 0 {
            return Ok(Round::Again);
        }
        // SAFETY: By the safety requirements, `kp` is registered and disabled. The kernel may look
        // at it concurrently, because of other probes at this address, but does not call a disabled
        // one.
        unsafe { ptr::write_volatile(&raw mut (*kp).pre_handler, self.both) };
        Ok(Round::First)
    }

    #[inline(always)]
    fn disabled(&self) -> bool {
        self.disabled
    }
}

/// The callbacks for probes of `O`.
struct Callbacks<O>(PhantomData<O>);

impl<O: Owner<bindings::kprobe, Handler: Handler>> Callbacks<O> {
    /// # Safety
    ///
    /// To be called only as the `pre_handler` of a probe of `O`.
    unsafe extern "C" fn pre(kp: *mut bindings::kprobe, regs: *mut pt_regs) -> c_int {
        // SAFETY: By the safety requirements, `kp` is a probe of `O`; the kernel has passed both.
        unsafe { context::call::<O, _, _, _>(kp, regs, O::Handler::pre) };
        0
    }

    /// # Safety
    ///
    /// To be called only as the `post_handler` of a probe of `O`.
    unsafe extern "C" fn post(kp: *mut bindings::kprobe, regs: *mut pt_regs, _flags: c_ulong) {
        // SAFETY: As in `pre`.
        unsafe { context::call::<O, _, _, _>(kp, regs, O::Handler::post) };
    }

    /// Calls the post handler right after the pre handler, as `kprobe_ftrace_handler()` in
    /// `arch/x86/kernel/kprobes/ftrace.c` does: with the instruction pointer after the ftrace call.
    ///
    /// # Safety
    ///
    /// To be called only as the `pre_handler` of a probe of `O` at an ftrace call.
    unsafe extern "C" fn both(kp: *mut bindings::kprobe, regs: *mut pt_regs) -> c_int {
        if O::Handler::HAS_PRE {
            // SAFETY: By the safety requirements, which are those of `pre`.
            unsafe { Self::pre(kp, regs) };
        }
        // SAFETY: `kp` is registered, so its `addr` does not change.
        let behind = unsafe { (*kp).addr } as usize + regs::FTRACE_CALL;
        // SAFETY: `regs` are the saved registers. Only the handler sees the new value: it is
        // restored before this call returns.
        let (at, ip) = unsafe {
            let at = regs::register(regs, Register::INSTRUCTION_POINTER);
            (at, at.replace(behind))
        };
        // SAFETY: By the safety requirements, `kp` is a probe of `O`; the kernel would pass these
        // arguments to its `post_handler`.
        unsafe { Self::post(kp, regs, 0) };
        // SAFETY: As above; this restores the old value.
        unsafe { at.write(ip) };
        0
    }
}
