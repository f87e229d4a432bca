// SPDX-License-Identifier: GPL-2.0

//! Handlers of the kernel's tracepoints.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)
//!
//! Context: that of the tracepoint, which may be an interrupt. Handlers must not sleep. They run on
//! several CPUs at once.
//!
//! # Errors
//!
//! - `ENOENT`: no such tracepoint. An error is logged if it is in another system, or if the name is
//!   that of the event of a system call, such as `sys_enter_openat`;
//! - `EOPNOTSUPP`: the kernel lacks `CONFIG_TRACING`, or has `CONFIG_CFI`, which requires the exact
//!   prototype of a tracepoint.

use crate::{
    common::*,
    regs::Entry, //
};

probe::kind! {
    /// The kind of a [`Tracepoint`]. Its target is the name of a tracepoint, `c"sched_switch"`,
    /// optionally with the system of its event, `c"sched:sched_switch"`. A
    /// [`Pending`](crate::Pending) waits for a module with the tracepoint.
    Kind(c"tracepoint", c""): Safe = bindings::kprobes_tracepoint, (), for<'a> &'a CStr => Plan<'a>,
    |O, name, options| {
        const {
            assert!(
                H::Args::COUNT <= 5,
                "a handler can read at most five arguments"
            )
        };
        Plan {
            name,
            disabled: options.disabled,
            hit: hit::<O>,
        }
    }
}

/// A registered handler of a tracepoint. See [`Probe`] for its methods.
///
/// C functions: `tracepoint_probe_register()`, `tracepoint_probe_unregister()`,
/// `tracepoint_synchronize_unregister()`, `register_tracepoint_module_notifier()`,
/// `trace_get_event_file()`.
pub type Tracepoint<H> = probe::Probe<Kind, H>;

/// A handler of several tracepoints. See [`Set`] for its methods.
pub type TracepointSet<H> = probe::Set<Kind, H>;

context::places! {
    /// The moment of a hit of a tracepoint.
    Trace: Hit, |hit, frame, to| {
        let len = to.len() as c_uint;
        // SAFETY: `to` has `len` words. `run` creates a `Hit` of the registered tracepoint.
        unsafe { bindings::kprobes_stack_tracepoint(to.as_mut_ptr().cast(), len, frame, hit.0) };
    };
}

/// A hit of a tracepoint.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Hit(*const bindings::kprobes_tracepoint);

impl<'a> probe::Named<'a> for &'a CStr {
    #[inline]
    fn name(self) -> (&'a CStr, u32) {
        (self, 0)
    }

    #[inline]
    fn at(name: &'a CStr, _offset: u32) -> Self {
        name
    }

    #[inline]
    fn report<K: probe::Kind>(self, what: &CStr, index: c_int, error: Error) {
        let (what, name) = (what.as_char_ptr(), self.as_char_ptr());
        // SAFETY: The function only looks for tracepoints, and prints.
        unsafe { bindings::kprobes_report_tracepoint(what, index, name, error.to_errno()) };
    }

    #[inline]
    fn is_in(name: &CStr, module: Option<&CStr>) -> bool {
        let module = module.map_or(ptr::null(), CStr::as_char_ptr);
        // SAFETY: The function only compares names.
        unsafe { bindings::kprobes_tracepoint_exists(name.as_char_ptr(), module) }
    }
}

impl context::Hit for Hit {
    const PREEMPTIBLE: bool = true;

    #[inline(always)]
    fn index(self) -> usize {
        // SAFETY: `run` creates a `Hit` of the registered tracepoint that was hit.
        unsafe { probe::index_of(self.0) }
    }
}

/// The context of [`Handler::hit`].
pub type Context<'a> = context::Context<'a, Trace>;

/// Callbacks of a [`Tracepoint`] or a [`TracepointSet`].
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// The types of the tracepoint's first arguments, up to five, as a tuple. See `TP_PROTO()` in
    /// `include/trace/events/*.h`.
    ///
    /// Those of `signal_generate`, for example, are `(i32, KernelPtr, KernelPtr, i32, i32)`:
    /// `TP_PROTO(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int
    /// result)`. With a wrong type, the value is meaningless, but safe: pointers cannot be
    /// dereferenced.
    type Args: FromWords;

    /// Called at the tracepoint. A hit within the handler of a tracepoint is
    /// [missed](probe::Registered::missed).
    ///
    /// Context: that of the tracepoint. It must not sleep, but may be preempted and migrated.
    fn hit(&self, cx: &Context<'_>, args: Self::Args);

    /// As [`kprobe::Handler::unregistered`](crate::kprobe::Handler::unregistered).
    fn unregistered(&self, _missed: u64) {}
}

/// The target, callback and options of a handler.
#[derive(Clone, Copy)]
#[doc(hidden)]
pub struct Plan<'a> {
    name: &'a CStr,
    disabled: bool,
    hit: unsafe extern "C" fn(*mut bindings::kprobes_tracepoint, usize, usize, usize, usize, usize),
}

// SAFETY: Registered handlers are unregistered on every error path.
unsafe impl Raw for bindings::kprobes_tracepoint {
    type Plan<'a> = Plan<'a>;
    type Guard = ();

    #[inline]
    fn lock() -> Result {
        // `kernel::error::code` has no `EOPNOTSUPP` in Linux 7.2.
        let unsupported = Error::from_errno(-(bindings::EOPNOTSUPP as c_int));
        if cfg!(all(CONFIG_TRACING, not(CONFIG_CFI))) {
            // SAFETY: The function only registers a notifier.
            unsafe { bindings::kprobes_tracepoint_watch() };
            Ok(())
        } else {
            Err(unsupported)
        }
    }

    #[inline]
    unsafe fn register<'a, K: probe::Kind<Raw = Self>>(
        _guard: (),
        probes: &mut [*mut Self],
        plan: impl Fn(*mut Self) -> Plan<'a>,
        mut refused: impl FnMut(*mut Self, Error) -> Result,
    ) -> Result<usize> {
        let mut registered = 0;
        for i in 0..probes.len() {
            let tp = probes[i];
            let plan = plan(tp);
            // SAFETY: By the safety requirements, `tp` is valid for writes.
            unsafe {
                ptr::write_bytes(tp, 0, 1);
                (*tp).hit = Some(plan.hit);
            }
            // SAFETY: Only `hit` of `tp` is set, and `name` is a C string.
            let mut done = to_result(unsafe {
                bindings::kprobes_tracepoint_find(tp, plan.name.as_char_ptr())
            });
            if done.is_ok() && !plan.disabled {
                // SAFETY: `tp` is filled in, and stays valid until it is unregistered.
                done = unsafe { Self::arm(&[tp], true) };
                if done.is_err() {
                    // SAFETY: The tracepoint was found, and `tp` is not enabled.
                    unsafe { bindings::kprobes_tracepoint_put(tp) };
                }
            }
            match done {
                Ok(()) => {
                    probes.swap(registered, i);
                    registered += 1;
                }
                Err(error) => refused(tp, error).inspect_err(|_| {
                    // SAFETY: These are registered.
                    unsafe { Self::unregister(&probes[..registered]) }
                })?,
            }
        }
        Ok(registered)
    }

    #[inline]
    unsafe fn unregister(probes: &[*mut Self]) {
        for &tp in probes {
            // SAFETY: By the safety requirements, `tp` is registered.
            let _ = unsafe { Self::arm(&[tp], false) };
        }
        // SAFETY: The function only waits.
        unsafe { bindings::kprobes_tracepoint_wait() };
        for &tp in probes {
            // SAFETY: `tp` was registered until now.
            unsafe { bindings::kprobes_tracepoint_put(tp) };
        }
    }

    #[inline]
    unsafe fn arm(probes: &[*mut Self], on: bool) -> Result {
        // SAFETY: By the safety requirements, these are registered.
        if on && probes.iter().all(|&tp| unsafe { Self::is_gone(tp) }) {
            return Err(EINVAL);
        }
        for (n, &tp) in probes.iter().enumerate() {
            // SAFETY: By the safety requirements, `tp` is registered. Removing a handler always
            // succeeds: without memory, the kernel replaces it by `tp_stub_func()`.
            to_result(unsafe { bindings::kprobes_tracepoint_enable(tp, on) }).inspect_err(
                |_| {
                    for &tp in &probes[..n] {
                        // SAFETY: As above.
                        unsafe { bindings::kprobes_tracepoint_enable(tp, !on) };
                    }
                },
            )?;
        }
        Ok(())
    }

    #[inline]
    unsafe fn address(_this: *const Self) -> usize {
        0
    }

    #[inline]
    unsafe fn name(this: *const Self) -> *const c_char {
        // SAFETY: By the safety requirements, `this` is registered.
        unsafe { (*this).name }
    }

    #[inline]
    unsafe fn location(this: *const Self) -> Location {
        // SAFETY: By the safety requirements, `this` is registered, and its name is a C string.
        Location::of_name(unsafe { CStr::from_char_ptr(Self::name(this)) })
    }

    #[inline]
    unsafe fn missed(this: *const Self) -> u64 {
        // SAFETY: By the safety requirements, `this` is valid. The counter is only used atomically.
        let missed = unsafe { AtomicU64::from_ptr((&raw const (*this).missed).cast_mut().cast()) };
        missed.load(Ordering::Relaxed)
    }

    #[inline]
    unsafe fn mechanism(_this: *const Self) -> Mechanism {
        Mechanism::Tracepoint
    }

    #[inline]
    unsafe fn is_enabled(this: *const Self) -> bool {
        // SAFETY: By the safety requirements, `this` is valid. Volatile, as C writes the field.
        unsafe { ptr::read_volatile(&raw const (*this).enabled) }
    }

    #[inline]
    unsafe fn is_gone(this: *const Self) -> bool {
        // SAFETY: As in `is_enabled`.
        unsafe { ptr::read_volatile(&raw const (*this).gone) }
    }
}

/// The word of the current task that has a bit for each context in which a handler runs, and the
/// first of these bits.
const AT: usize = bindings::KPROBES_TASK_TRACE_RECURSION;
const BIT: u32 = bindings::KPROBES_IN_TRACEPOINT_BIT;

/// Declares a callback of a tracepoint.
macro_rules! callback {
    ($(#[$meta:meta])* $name:ident($tp:ident, $args:ident) $body:block) => {
        $(#[$meta])*
        unsafe extern "C" fn $name<O: Owner<bindings::kprobes_tracepoint, Handler: Handler>>(
            $tp: *mut bindings::kprobes_tracepoint,
            a: usize,
            b: usize,
            c: usize,
            d: usize,
            e: usize,
        ) {
            let $args = [a, b, c, d, e];
            // SAFETY: `task_struct` has `trace_recursion` at `AT`, of which the library owns the
            // bits from `BIT` on. By the safety requirements, `tp` is a registered tracepoint.
            unsafe { $body }
        }
    };
}

callback! {
    /// The callback of the tracepoint. Arguments that the tracepoint does not have are the values
    /// of CPU registers.
    ///
    /// A hit within a handler of any module, in the same context of the same task, is missed. The
    /// task has a bit for each context. The CPU cannot have it, as handlers may be preempted.
    ///
    /// # Safety
    ///
    /// `tp` must be a registered tracepoint of `O` that outlives the call.
    #[inline]
    hit(tp, args) {
        match regs::enter_in_task::<AT, BIT>(regs::current()) {
            Entry::Entered => {
                run::<O>(tp, args);
                regs::leave_in_task::<AT, BIT>(regs::current());
            }
            Entry::Within => miss(tp),
            Entry::Interrupt => {
                let [a, b, c, d, e] = args;
                hit_in_interrupt::<O>(tp, a, b, c, d, e)
            }
        }
    }
}

callback! {
    /// [`hit`], in a softirq, an interrupt or an NMI.
    ///
    /// # Safety
    ///
    /// That of [`hit`].
    #[cold]
    #[inline(never)]
    hit_in_interrupt(tp, args) {
        let task = regs::current();
        let Some(bits) = regs::enter_in_interrupt(task, AT, BIT) else {
            return miss(tp);
        };
        run::<O>(tp, args);
        regs::leave_in_interrupt(task, AT, bits);
    }
}

/// Calls the handler.
///
/// # Safety
///
/// `tp` must be a registered tracepoint of `O` that outlives the call.
#[inline(always)]
unsafe fn run<O: Owner<bindings::kprobes_tracepoint, Handler: Handler>>(
    tp: *mut bindings::kprobes_tracepoint,
    args: [usize; 5],
) {
    // SAFETY: By the safety requirements, `tp` is a registered tracepoint of `O`.
    let handler = unsafe { O::handler(tp) };
    let args = <O::Handler as Handler>::Args::from_words(|n| args.get(n).copied().unwrap_or(0));
    // SAFETY: `tp` is the tracepoint that was hit.
    handler.hit(&unsafe { Context::new(Hit(tp)) }, args);
}

/// Counts a hit for which the handler is not called.
///
/// # Safety
///
/// `tp` must be valid.
#[inline(always)]
unsafe fn miss(tp: *mut bindings::kprobes_tracepoint) {
    // SAFETY: By the safety requirements, `tp` is valid. The counter is only used atomically.
    let missed = unsafe { AtomicU64::from_ptr((&raw mut (*tp).missed).cast()) };
    missed.fetch_add(1, Ordering::Relaxed);
}
