// SPDX-License-Identifier: GPL-2.0

//! Kprobes: handlers before and after an instruction.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Context: probed context, preemption disabled. Handlers must not sleep. They run on several CPUs
//! at once. They must not wait for a lock, because they may interrupt its holder, as an NMI may.
//! Use atomics or per-CPU counters, or, except on PREEMPT_RT, `try_lock`.
//!
//! # Errors
//!
//! - `ENOENT`: no such symbol, or its module is being unloaded;
//! - `EILSEQ`: the target is not at an instruction boundary; on arm64, this is `EINVAL`;
//! - `EINVAL`: the target cannot be probed (NOKPROBE, `noinstr`, not in text, next to the ftrace
//!   call at a function's entry);
//! - `ENODEV`: the target is an ftrace call, and the kernel has disabled ftrace after an error;
//! - the error of arming the probe, which `register_kprobe()` does not report.

use crate::common::*;

probe::kind! {
    /// The kind of a [`Kprobe`].
    Kind(c"kprobe", probe::NO_PLACE): Safe = bindings::kprobe, (), for<'a> Target<'a> => Calls<'a>,
    |O, target, options| {
        const { assert!(H::HAS_PRE || H::HAS_POST, "a handler must implement `pre` or `post`") };
        Calls {
            target,
            disabled: options.disabled,
            function_entry: false,
            pre: probe::optional(H::HAS_PRE, Callbacks::<O>::pre),
            post: probe::optional(H::HAS_POST, Callbacks::<O>::post),
            pre_and_post: probe::optional(H::HAS_POST, Callbacks::<O>::pre_and_post),
        }
    }
}

/// A registered kprobe and its handler. See [`Probe`] for its methods.
///
/// C functions: `register_kprobe()`, `unregister_kprobe()`.
pub type Kprobe<H> = probe::Probe<Kind, H>;

/// Kprobes at several targets that share a handler. See [`Set`] for its methods.
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

/// The context of [`Handler::pre`].
pub type Context<'a> = context::Context<'a, Pre>;
/// The context of [`Handler::post`].
pub type PostContext<'a> = context::Context<'a, Post>;

/// Callbacks of a [`Kprobe`] or a [`KprobeSet`].
///
/// A method that is not implemented is `NULL` in C. A kprobe with [`post`](Handler::post) cannot be
/// optimized.
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

    /// Called once, after the probe or the set is unregistered and all handlers have finished, with
    /// the total of [missed](probe::Registered::missed) hits.
    ///
    /// Context: process context, in the drop; it may sleep.
    fn unregistered(&self, _missed: u64) {}
}

impl Target<'_> {
    /// Checks that a kprobe can be registered at this target: registers a disabled one without a
    /// handler, and unregisters it.
    ///
    /// Context: process context; it sleeps.
    ///
    /// Errors: those of a [kprobe](crate::kprobe#errors), except that of arming it; `EDEADLK` if
    /// the caller must not sleep; `ENOMEM`.
    #[inline]
    pub fn check(self) -> Result {
        probe::check_target::<bindings::kprobe>(&Calls {
            target: self,
            disabled: true,
            function_entry: false,
            pre: None,
            post: None,
            pre_and_post: None,
        })
    }
}

// SAFETY: A `struct kprobe` consists of integers and nullable pointers.
unsafe impl Kprobes for bindings::kprobe {
    type Plan<'a> = Calls<'a>;
    const REGISTER: unsafe extern "C" fn(*mut Self) -> c_int = bindings::register_kprobe;
    const RETURNS: bool = false;
}

pub(crate) type PreCall = unsafe extern "C" fn(*mut bindings::kprobe, *mut pt_regs) -> c_int;
type PostCall = unsafe extern "C" fn(*mut bindings::kprobe, *mut pt_regs, c_ulong);

/// The target of a kprobe and its callbacks.
///
/// At an ftrace call, `pre_handler` is `pre_and_post`, and `post_handler` is `NULL`: with a
/// `post_handler`, the kernel would claim `FTRACE_OPS_FL_IPMODIFY` for the probe.
#[derive(Clone, Copy)]
#[doc(hidden)]
pub struct Calls<'a> {
    target: Target<'a>,
    disabled: bool,
    /// Whether only the entry of a function is accepted as target.
    function_entry: bool,
    pre: Option<PreCall>,
    post: Option<PostCall>,
    pre_and_post: Option<PreCall>,
}

impl<'a> Calls<'a> {
    /// The callbacks of a probe whose pre handler changes the execution path. The post handler
    /// keeps the kernel from optimizing the probe.
    #[inline(always)]
    pub(crate) fn changing_path(
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
            pre_and_post: Some(pre),
        }
    }
}

// SAFETY: `Handles::plan` chooses the callbacks for the type that owns the probe.
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
    unsafe fn check(&self, kp: *mut bindings::kprobe) -> Result<Round> {
        if self.post.is_none() {
            return Ok(Round::First);
        }
        // SAFETY: By the safety requirements, `kp` is registered. Volatile, as flags may change.
        let flags = unsafe { ptr::read_volatile(&raw const (*kp).flags) };
        if self.function_entry && flags & bindings::KPROBE_FLAG_ON_FUNC_ENTRY == 0 {
            return Err(EINVAL);
        }
        if flags & bindings::KPROBE_FLAG_FTRACE == 0 {
            return Ok(Round::Again);
        }
        // SAFETY: By the safety requirements, `kp` is registered and disabled. A hit of another
        // probe at this address may read it concurrently, but does not call a disabled probe.
        unsafe { ptr::write_volatile(&raw mut (*kp).pre_handler, self.pre_and_post) };
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
        // SAFETY: By the safety requirements, `kp` is a probe of `O` that is hit with `regs`.
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

    /// Calls both handlers at an ftrace call, where the probed instruction has no effect. As in
    /// `kprobe_ftrace_handler()` of x86, `post` gets the instruction pointer after the call.
    ///
    /// # Safety
    ///
    /// To be called only as the `pre_handler` of a probe of `O` at an ftrace call.
    unsafe extern "C" fn pre_and_post(kp: *mut bindings::kprobe, regs: *mut pt_regs) -> c_int {
        if O::Handler::HAS_PRE {
            // SAFETY: By the safety requirements, which are those of `pre`.
            unsafe { Self::pre(kp, regs) };
        }
        // SAFETY: `kp` is registered, so its `addr` does not change.
        let next = unsafe { (*kp).addr } as usize + regs::FTRACE_CALL;
        // SAFETY: `regs` are the saved registers. Only `post` reads `next`; `old` is restored.
        let (ip, old) = unsafe {
            let ip = regs::register(regs, Register::INSTRUCTION_POINTER);
            (ip, ip.replace(next))
        };
        // SAFETY: The kernel would pass these arguments to the `post_handler`.
        unsafe { Self::post(kp, regs, 0) };
        // SAFETY: `ip` is a field of the saved registers.
        unsafe { ip.write(old) };
        0
    }
}
