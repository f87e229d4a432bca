// SPDX-License-Identifier: GPL-2.0

//! Return probes: handlers at the entry and the return of a function.
//!
//! C header: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)
//!
//! Context: probed context, preemption disabled, see [`crate::kprobe`].
//!
//! # Errors
//!
//! - `ENOENT`: no such symbol, or its module is being unloaded;
//! - `EINVAL`: the target cannot be probed (NOKPROBE, `noinstr`, not in text), or is not the entry
//!   of a function that ftrace knows, see [`Options::any_function`];
//! - `ENODEV`: the kernel has disabled ftrace after an error;
//! - `EOPNOTSUPP`: the kernel lacks `CONFIG_KRETPROBES`, or `CONFIG_DYNAMIC_FTRACE`, by which the
//!   library recognises functions.

use crate::common::*;
use crate::kprobe;
use core::any::TypeId;

probe::kind! {
    /// The kind of a [`Kretprobe`].
    Kind(c"kretprobe", probe::NO_FUNCTION): Safe = bindings::kretprobe, Specific,
    for<'a> Target<'a> => Calls<'a>,
    |O, target, options| Calls::of::<O>(target, options)
}

/// A registered return probe and its handler. See [`Probe`] for its methods.
///
/// By default, it follows as many calls in flight as the larger of 10 and twice the number of
/// possible CPUs; [`Options::max_active`] sets another limit. Dropping it does not wait for calls
/// in flight: `ret` is not called for them.
///
/// C functions: `register_kretprobe()`, `unregister_kretprobe()`.
pub type Kretprobe<H> = probe::Probe<Kind, H>;

/// Return probes at several functions that share a handler. See [`Set`] for its methods.
///
/// C functions: `register_kretprobe()`, `unregister_kretprobes()`.
pub type KretprobeSet<H> = probe::Set<Kind, H>;

/// The [`Options`] that only return probes have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Specific {
    max_active: u16,
    any_function: bool,
}

impl Options {
    /// Follows up to `calls` calls in flight of each function; 0 is the kernel's default. Further
    /// calls are [missed](Registered::missed).
    #[inline]
    pub const fn max_active(mut self, calls: u16) -> Self {
        self.specific.max_active = calls;
        self
    }

    /// Accepts functions that ftrace does not know, such as one in assembly or one built without
    /// ftrace.
    ///
    /// # Safety
    ///
    /// The target must be the entry of a function that is entered only by calls, so that the return
    /// address is on top of the stack or in the link register. The kernel replaces this address and
    /// stores the original in the task, so the function must return through it, in the same task
    /// and on the same stack.
    #[inline]
    pub const unsafe fn any_function(mut self) -> Self {
        self.specific.any_function = true;
        self
    }
}

context::places! {
    /// The moment at the return of the probed function.
    Return: Saved, |hit, _frame, to| {
        let len = to.len() as c_uint;
        // SAFETY: `to` has `len` words. By the invariant of `Saved`, `regs` are those of this hit.
        unsafe { bindings::kprobes_stack_returned(to.as_mut_ptr().cast(), len, hit.regs) };
    };
}

/// The context of [`Handler::entry`].
pub type Context<'a> = kprobe::Context<'a>;
/// The context of [`Handler::ret`].
pub type ReturnContext<'a> = context::Context<'a, Return>;

impl ReturnContext<'_> {
    /// Returns the result of the probed function: the CPU register in which the C calling
    /// convention returns it.
    ///
    /// `T` should be the type that the function returns; a `Result` decodes the kernel's errors,
    /// see [`FromWord`]. The value is meaningless for a `void` function.
    #[doc(alias = "return_value")]
    #[inline(always)]
    pub fn ret<T: FromWord>(&self) -> T {
        T::from_word(self.hit.get(Register::RESULT))
    }

    /// Makes the probed function return `value` instead.
    ///
    /// # Safety
    ///
    /// `value` must be a result that the caller can handle, given what the function has done.
    #[inline(always)]
    pub unsafe fn set_ret(&self, value: usize) {
        // SAFETY: By the safety requirements, the caller can handle `value`.
        unsafe { self.hit.set(Register::RESULT, value) };
    }
}

/// Callbacks of a [`Kretprobe`] or a [`KretprobeSet`].
///
/// Without [`entry`](Handler::entry), [`Data`](Handler::Data) must be `()`.
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// Data that `entry` passes to `ret` of the same call.
    ///
    /// The kernel discards it if the task dies in the call, or if the probe is unregistered before
    /// the call returns, so it cannot have a destructor. A type of more than 4096 bytes or an
    /// alignment of more than 8 does not compile.
    type Data: Copy + Send + 'static;

    /// Called at the entry of the probed function. `None` ignores the return of this call.
    ///
    /// Context: probed context, preemption disabled.
    fn entry(&self, _cx: &Context<'_>) -> Option<Self::Data> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called when the probed function returns, before its caller continues, with the data that
    /// `entry` of this call returned. [`cx.ret()`](ReturnContext::ret) is the function's result.
    ///
    /// Context: probed context, preemption disabled.
    fn ret(&self, cx: &ReturnContext<'_>, data: Self::Data);

    /// As [`kprobe::Handler::unregistered`].
    fn unregistered(&self, _missed: u64) {}
}

impl Registered<Kind> {
    /// Returns how many calls in flight the probe can follow.
    #[inline]
    pub fn max_active(&self) -> usize {
        // SAFETY: By the type invariant, the kretprobe is registered, so `maxactive` is constant.
        unsafe { (*self.as_raw()).maxactive as usize }
    }
}

const _: () = assert!(offset_of!(bindings::kretprobe, kp) == 0);

// SAFETY: A `struct kretprobe` consists of integers and nullable pointers. See the assertion above.
unsafe impl Kprobes for bindings::kretprobe {
    type Plan<'a> = Calls<'a>;
    const REGISTER: unsafe extern "C" fn(*mut Self) -> c_int = bindings::register_kretprobe;
    const RETURNS: bool = true;

    #[inline(always)]
    unsafe fn missed_returns(this: *const Self) -> u32 {
        // SAFETY: By the safety requirements, `this` is valid. Volatile, as the kernel writes it.
        // An `atomic_t` (upstream/linux/0004) holds an `int`.
        unsafe { ptr::read_volatile((&raw const (*this).nmissed).cast::<u32>()) }
    }
}

type Callback = unsafe extern "C" fn(*mut kretprobe_instance, *mut pt_regs) -> c_int;

/// The target of a kretprobe and its callbacks.
#[derive(Clone, Copy)]
#[doc(hidden)]
pub struct Calls<'a> {
    target: Target<'a>,
    options: Options,
    data_size: usize,
    entry: Option<Callback>,
    ret: Callback,
}

impl<'a> Calls<'a> {
    #[inline(always)]
    pub(crate) fn of<O: Owner<bindings::kretprobe, Handler: Handler>>(
        target: Target<'a>,
        options: Options,
    ) -> Self {
        const {
            assert!(
                size_of::<Data<O>>() <= bindings::KRETPROBE_MAX_DATA_SIZE as usize,
                "kretprobe::Handler::Data is larger than KRETPROBE_MAX_DATA_SIZE"
            );
            assert!(
                align_of::<Data<O>>() <= align_of::<kretprobe_instance>(),
                "kretprobe::Handler::Data needs a larger alignment than kretprobe_instance"
            );
            // `data` of an instance has the alignment of the instance.
            assert!(offset_of!(kretprobe_instance, data) % align_of::<kretprobe_instance>() == 0);
        };
        // Without an entry handler, the data is uninitialised, so it must be `()`.
        build_assert!(O::Handler::HAS_ENTRY || TypeId::of::<Data<O>>() == TypeId::of::<()>());
        Self {
            target,
            options,
            data_size: size_of::<Data<O>>(),
            entry: probe::optional(O::Handler::HAS_ENTRY, Callbacks::<O>::entry),
            ret: Callbacks::<O>::ret,
        }
    }
}

// SAFETY: `of` is called with the type that owns the probe.
unsafe impl Plan<bindings::kretprobe> for Calls<'_> {
    #[inline(always)]
    fn fill(&self, rp: &mut bindings::kretprobe, _round: Round) {
        self.target.fill(&mut rp.kp);
        rp.maxactive = c_int::from(self.options.specific.max_active);
        rp.data_size = self.data_size;
        rp.entry_handler = self.entry;
        rp.handler = Some(self.ret);
    }

    #[inline(always)]
    unsafe fn check(&self, rp: *mut bindings::kretprobe) -> Result<Round> {
        if !self.options.specific.any_function {
            // SAFETY: By the safety requirements, `rp` is registered, so `addr` does not change.
            to_result(unsafe { bindings::kprobes_function_entry((*rp).kp.addr.cast()) })?;
        }
        Ok(Round::First)
    }

    #[inline(always)]
    fn disabled(&self) -> bool {
        self.options.disabled
    }
}

/// Returns the kretprobe of an instance, like `get_kretprobe()`. Without
/// `CONFIG_KRETPROBE_ON_RETHOOK`, returns `None` if the probe is being unregistered concurrently.
///
/// # Safety
///
/// `ri` must be an instance that the kernel has passed to a handler.
#[inline(always)]
unsafe fn kretprobe_of(ri: *mut kretprobe_instance) -> Option<*mut bindings::kretprobe> {
    #[cfg(CONFIG_KRETPROBE_ON_RETHOOK)]
    {
        // SAFETY: By the safety requirements, `ri` and its rethook are valid; `data` is constant.
        Some(unsafe { (*(*ri).node.rethook).data }.cast())
    }

    #[cfg(not(CONFIG_KRETPROBE_ON_RETHOOK))]
    {
        // SAFETY: By the safety requirements, `ri` and its holder are valid. Volatile, as `rp` may
        // change.
        let rp = unsafe { ptr::read_volatile(&raw const (*(*ri).rph).rp) };
        (!rp.is_null()).then_some(rp)
    }
}

type Data<O> = <<O as Owner<bindings::kretprobe>>::Handler as Handler>::Data;

/// The callbacks for probes of `O`.
struct Callbacks<O>(PhantomData<O>);

impl<O: Owner<bindings::kretprobe, Handler: Handler>> Callbacks<O> {
    /// # Safety
    ///
    /// To be called only as the `entry_handler` of a probe of `O`.
    unsafe extern "C" fn entry(ri: *mut kretprobe_instance, regs: *mut pt_regs) -> c_int {
        // SAFETY: By the safety requirements, `ri` is an instance of a probe of `O`.
        let Some(rp) = (unsafe { kretprobe_of(ri) }) else {
            return 1;
        };
        // SAFETY: By the safety requirements, `rp` is a probe of `O` that is hit with `regs`.
        match unsafe { context::call::<O, _, _, _>(rp, regs, O::Handler::entry) } {
            Some(data) => {
                // SAFETY: `data` has `data_size` bytes, and `Calls::of` checks the alignment.
                unsafe { (&raw mut (*ri).data).cast::<Data<O>>().write(data) };
                0
            }
            None => 1,
        }
    }

    /// # Safety
    ///
    /// To be called only as the `handler` of a probe of `O`.
    unsafe extern "C" fn ret(ri: *mut kretprobe_instance, regs: *mut pt_regs) -> c_int {
        // SAFETY: By the safety requirements, `ri` is an instance of a probe of `O`.
        let Some(rp) = (unsafe { kretprobe_of(ri) }) else {
            return 0;
        };
        // SAFETY: `entry` has written `data`; without it, `Calls::of` checks that `Data` is `()`.
        let data = unsafe { (&raw const (*ri).data).cast::<Data<O>>().read() };
        let ret = |handler: &O::Handler, cx: &ReturnContext<'_>| handler.ret(cx, data);
        // SAFETY: As in `entry`.
        unsafe { context::call::<O, _, _, _>(rp, regs, ret) };
        0
    }
}
