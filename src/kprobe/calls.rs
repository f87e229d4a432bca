// SPDX-License-Identifier: GPL-2.0

//! What the kernel calls for a kprobe, and the way from there to its handler.

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

/// What the kernel calls before an instruction.
pub(crate) type PreCall =
    unsafe extern "C" fn(*mut bindings::kprobe, *mut bindings::pt_regs) -> c_int;
/// What the kernel calls after an instruction.
pub(crate) type PostCall =
    unsafe extern "C" fn(*mut bindings::kprobe, *mut bindings::pt_regs, c_ulong);

/// Where a kprobe goes, and what the kernel is told to call.
///
/// At a function's entry that ftrace has, the instruction is a call of ftrace's
/// that does nothing, so the post handler can be called right after the pre
/// handler, by `both`. The kernel then does not know that there is one, and
/// does not claim the function's flow for it (`FTRACE_OPS_FL_IPMODIFY`).
#[derive(Clone, Copy)]
pub(crate) struct Calls<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) pre: Option<PreCall>,
    pub(crate) post: Option<PostCall>,
    pub(crate) both: Option<PreCall>,
}

impl<'a> Calls<'a> {
    /// The callbacks for probes of `O`.
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

// SAFETY: `of` is called for the type that holds the probe, and an `Override` has callbacks of its own.
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
        // SAFETY: By the safety requirements, `kp` is registered. Nobody writes this flag then, but
        // the kernel may write the one that tells that its code is gone, hence volatile.
        let flags = unsafe { ptr::read_volatile(&raw const (*kp).flags) };
        if flags & bindings::KPROBE_FLAG_FTRACE == 0 {
            return Ok(Round::Again);
        }
        // SAFETY: As above. Who looks at the probe meanwhile, because there are others at this place,
        // finds it disabled, whichever of the two handlers it has.
        unsafe { ptr::write_volatile(&raw mut (*kp).pre_handler, self.both) };
        Ok(Round::First)
    }
}

/// The kernel's way to the handlers of probes of `O`.
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
    /// Only for the `pre_handler` of a probe of `O`.
    unsafe extern "C" fn pre(kp: *mut bindings::kprobe, regs: *mut bindings::pt_regs) -> c_int {
        // SAFETY: By the safety requirements; unregistering the probe waits for this call.
        let hit = unsafe { O::hit(kp) };
        // SAFETY: The kernel passes the registers of the probed code and the probe that was hit,
        // which are ours for the time of this call.
        let cx = unsafe { Context::<Pre>::new(regs, kp, hit.index) };
        hit.handler.pre(&cx);
        0
    }

    /// # Safety
    ///
    /// Only for the `post_handler` of a probe of `O`.
    unsafe extern "C" fn post(
        kp: *mut bindings::kprobe,
        regs: *mut bindings::pt_regs,
        _flags: c_ulong,
    ) {
        // SAFETY: By the safety requirements; unregistering the probe waits for this call.
        let hit = unsafe { O::hit(kp) };
        // SAFETY: As in `pre`, after the instruction.
        let cx = unsafe { Context::<Post>::new(regs, kp, hit.index) };
        hit.handler.post(&cx);
    }

    /// Calls the post handler right after the pre handler, as
    /// `kprobe_ftrace_handler()` in `arch/x86/kernel/kprobes/ftrace.c` does: with
    /// the instruction pointer behind ftrace's call.
    ///
    /// # Safety
    ///
    /// Only for the `pre_handler` of a probe of `O`, at a call of ftrace's.
    unsafe extern "C" fn both(kp: *mut bindings::kprobe, regs: *mut bindings::pt_regs) -> c_int {
        if O::Handler::HAS_PRE {
            // SAFETY: By the safety requirements of this function.
            unsafe { Self::pre(kp, regs) };
        }
        // SAFETY: `kp` is registered, so nobody writes its `addr`.
        let behind = unsafe { (*kp).addr } as usize + regs::FTRACE_CALL;
        // SAFETY: `regs` are those of the probed code, into which no reference is held.
        let ip = unsafe { regs::instruction_pointer(&*regs) };
        // SAFETY: As above. Others at this place do not run before it is what it was again.
        unsafe { regs::set_instruction_pointer(regs, behind) };
        // SAFETY: By the safety requirements; the kernel would pass just these.
        unsafe { Self::post(kp, regs, 0) };
        // SAFETY: As above.
        unsafe { regs::set_instruction_pointer(regs, ip) };
        0
    }
}
