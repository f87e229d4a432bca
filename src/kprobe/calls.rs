// SPDX-License-Identifier: GPL-2.0

//! The callbacks of kprobes, which call the handlers.

use super::Handler;
use crate::{
    bindings,
    context::{
        Context,
        Post,
        Pre, //
    },
    registration::{
        Plan,
        Round, //
    },
    regs,
    slot::Owner,
    target::Target, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::prelude::*;

/// `kprobe_pre_handler_t`.
pub(crate) type PreCall =
    unsafe extern "C" fn(*mut bindings::kprobe, *mut bindings::pt_regs) -> c_int;
/// `kprobe_post_handler_t`.
pub(crate) type PostCall =
    unsafe extern "C" fn(*mut bindings::kprobe, *mut bindings::pt_regs, c_ulong);

/// The target of a kprobe and its callbacks.
///
/// At an ftrace call, the probed instruction has no effect of its own, so `both`
/// calls the post handler right after the pre handler. The kernel is not told of
/// a post handler there, and so does not claim `FTRACE_OPS_FL_IPMODIFY` for it.
#[derive(Clone, Copy)]
pub(crate) struct Calls<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) pre: Option<PreCall>,
    pub(crate) post: Option<PostCall>,
    pub(crate) both: Option<PreCall>,
}

impl<'a> Calls<'a> {
    /// Returns the callbacks for probes of `O`.
    #[inline(always)]
    pub(super) fn of<O: Owner<bindings::kprobe, Handler: Handler>>(target: Target<'a>) -> Self {
        const {
            assert!(
                O::Handler::HAS_PRE || O::Handler::HAS_POST,
                "a Handler needs pre or post"
            )
        };
        Self {
            target,
            pre: Callbacks::<O>::PRE,
            post: Callbacks::<O>::POST,
            both: Callbacks::<O>::BOTH,
        }
    }
}

// SAFETY: `of` is called with the type that owns the probe; an `Override` supplies callbacks of its
// own.
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
        self.target.is_disabled()
    }
}

/// The callbacks for probes of `O`.
struct Callbacks<O>(PhantomData<O>);

impl<O: Owner<bindings::kprobe, Handler: Handler>> Callbacks<O> {
    const PRE: Option<PreCall> = if O::Handler::HAS_PRE {
        Some(Self::pre)
    } else {
        None
    };

    const POST: Option<PostCall> = if O::Handler::HAS_POST {
        Some(Self::post)
    } else {
        None
    };

    const BOTH: Option<PreCall> = if O::Handler::HAS_POST {
        Some(Self::both)
    } else {
        None
    };

    /// # Safety
    ///
    /// To be called only as the `pre_handler` of a probe of `O`.
    unsafe extern "C" fn pre(kp: *mut bindings::kprobe, regs: *mut bindings::pt_regs) -> c_int {
        // SAFETY: By the safety requirements, `kp` is a probe of `O`, and unregistering it waits
        // for this call.
        let hit = unsafe { O::hit(kp) };
        // SAFETY: The kernel passes the saved registers and the probe that was hit, both of which
        // are valid for the duration of this call.
        let cx = unsafe { Context::<Pre>::new(regs, kp, hit.index) };
        hit.handler.pre(&cx);
        0
    }

    /// # Safety
    ///
    /// To be called only as the `post_handler` of a probe of `O`.
    unsafe extern "C" fn post(
        kp: *mut bindings::kprobe,
        regs: *mut bindings::pt_regs,
        _flags: c_ulong,
    ) {
        // SAFETY: By the safety requirements, `kp` is a probe of `O`, and unregistering it waits
        // for this call.
        let hit = unsafe { O::hit(kp) };
        // SAFETY: As in `pre`.
        let cx = unsafe { Context::<Post>::new(regs, kp, hit.index) };
        hit.handler.post(&cx);
    }

    /// Calls the post handler right after the pre handler, as
    /// `kprobe_ftrace_handler()` in `arch/x86/kernel/kprobes/ftrace.c` does: with
    /// the instruction pointer after the ftrace call.
    ///
    /// # Safety
    ///
    /// To be called only as the `pre_handler` of a probe of `O` at an ftrace call.
    unsafe extern "C" fn both(kp: *mut bindings::kprobe, regs: *mut bindings::pt_regs) -> c_int {
        if O::Handler::HAS_PRE {
            // SAFETY: By the safety requirements, which are those of `pre`.
            unsafe { Self::pre(kp, regs) };
        }
        // SAFETY: `kp` is registered, so nobody writes its `addr`.
        let behind = unsafe { (*kp).addr } as usize + regs::FTRACE_CALL;
        // SAFETY: `regs` are the saved registers, and nobody holds a mutable reference to them.
        let ip = unsafe { regs::instruction_pointer(&*regs) };
        // SAFETY: `regs` are the saved registers. Nobody else sees the new value: it is restored
        // before this call returns.
        unsafe { regs::set_instruction_pointer(regs, behind) };
        // SAFETY: By the safety requirements, `kp` is a probe of `O`; the kernel would pass these
        // arguments to its `post_handler`.
        unsafe { Self::post(kp, regs, 0) };
        // SAFETY: As above; this restores the old value.
        unsafe { regs::set_instruction_pointer(regs, ip) };
        0
    }
}
