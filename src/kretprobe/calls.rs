// SPDX-License-Identifier: GPL-2.0

//! The callbacks of kretprobes, which call the handlers.

use super::Handler;
use crate::{
    bindings,
    context::{
        Context,
        Pre,
        Return, //
    },
    registration::{
        Plan,
        Round, //
    },
    slot::Owner,
    target::Target, //
};
use core::{
    any::TypeId,
    marker::PhantomData,
    mem::{
        align_of,
        offset_of,
        size_of, //
    }, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// Which functions a kretprobe may be registered at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Functions {
    /// Only functions that ftrace knows.
    Known,
    /// Any function; the caller vouches that it is one.
    Any,
}

/// `kretprobe_handler_t`.
type Callback =
    unsafe extern "C" fn(*mut bindings::kretprobe_instance, *mut bindings::pt_regs) -> c_int;

/// The target of a kretprobe and its callbacks.
#[derive(Clone, Copy)]
pub(super) struct Calls<'a> {
    functions: Functions,
    target: Target<'a>,
    max_active: u16,
    data_size: usize,
    entry: Option<Callback>,
    ret: Callback,
}

impl<'a> Calls<'a> {
    /// Returns the callbacks for probes of `O`.
    #[inline(always)]
    pub(super) fn of<O: Owner<bindings::kretprobe, Handler: Handler>>(
        functions: Functions,
        target: Target<'a>,
        max_active: u16,
    ) -> Self {
        const {
            assert!(
                size_of::<Data<O>>() <= bindings::KRETPROBE_MAX_DATA_SIZE as usize,
                "kretprobe::Handler::Data is larger than KRETPROBE_MAX_DATA_SIZE"
            );
            assert!(
                align_of::<Data<O>>() <= align_of::<bindings::kretprobe_instance>(),
                "kretprobe::Handler::Data asks for more alignment than a kretprobe_instance has"
            );
            // So `data` of an instance has the alignment of the instance.
            assert!(
                offset_of!(bindings::kretprobe_instance, data)
                    % align_of::<bindings::kretprobe_instance>()
                    == 0
            );
        };
        // Without an entry handler the data is not initialised, so it must be `()`.
        build_assert!(O::Handler::HAS_ENTRY || TypeId::of::<Data<O>>() == TypeId::of::<()>());
        Self {
            functions,
            target,
            max_active,
            data_size: size_of::<Data<O>>(),
            entry: Callbacks::<O>::ENTRY,
            ret: Callbacks::<O>::ret,
        }
    }
}

// SAFETY: `of` is called with the type that owns the probe.
unsafe impl Plan<bindings::kretprobe> for Calls<'_> {
    #[inline(always)]
    fn fill(&self, rp: &mut bindings::kretprobe, _round: Round) {
        self.target.fill(&mut rp.kp);
        rp.maxactive = c_int::from(self.max_active);
        rp.data_size = self.data_size;
        rp.entry_handler = self.entry;
        rp.handler = Some(self.ret);
    }

    #[inline(always)]
    unsafe fn settle(&self, rp: *mut bindings::kretprobe) -> Result<Round> {
        if self.functions == Functions::Known {
            // SAFETY: By the safety requirements, `rp` is registered, so its `addr` is set and
            // does not change.
            to_result(unsafe { bindings::kprobes_function_entry((*rp).kp.addr.cast()) })?;
        }
        Ok(Round::First)
    }

    #[inline(always)]
    fn disabled(&self) -> bool {
        self.target.is_disabled()
    }
}

/// Returns the kretprobe of an instance, like `get_kretprobe()`.
///
/// Returns `None` if the probe is being unregistered concurrently, which is
/// visible only without `CONFIG_KRETPROBE_ON_RETHOOK`.
///
/// # Safety
///
/// `ri` must be an instance that the kernel has passed to a handler.
#[inline(always)]
unsafe fn kretprobe_of(ri: *mut bindings::kretprobe_instance) -> Option<*mut bindings::kretprobe> {
    #[cfg(CONFIG_KRETPROBE_ON_RETHOOK)]
    {
        // SAFETY: By the safety requirements, `ri` is valid, and so is its rethook, whose `data` is
        // the kretprobe and never changes.
        Some(unsafe { (*(*ri).node.rethook).data }.cast())
    }

    #[cfg(not(CONFIG_KRETPROBE_ON_RETHOOK))]
    {
        // SAFETY: By the safety requirements, `ri` is valid, and so is its holder. The kernel may
        // write `rp` concurrently, hence volatile.
        let rp = unsafe { core::ptr::read_volatile(&raw const (*(*ri).rph).rp) };
        (!rp.is_null()).then_some(rp)
    }
}

/// The data that the handler of `O` keeps from the entry to the return.
type Data<O> = <<O as Owner<bindings::kretprobe>>::Handler as Handler>::Data;

/// The callbacks for probes of `O`.
struct Callbacks<O>(PhantomData<O>);

impl<O: Owner<bindings::kretprobe, Handler: Handler>> Callbacks<O> {
    const ENTRY: Option<Callback> = if O::Handler::HAS_ENTRY {
        Some(Self::entry)
    } else {
        None
    };

    /// # Safety
    ///
    /// To be called only as the `entry_handler` of a probe of `O`.
    unsafe extern "C" fn entry(
        ri: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: By the safety requirements, `ri` is an instance of a probe of `O`.
        let Some(rp) = (unsafe { kretprobe_of(ri) }) else {
            return 1;
        };
        // SAFETY: `rp` is a probe of `O`, and unregistering it waits for this call.
        let hit = unsafe { O::hit(rp) };
        // SAFETY: The kernel passes the saved registers; they and `rp`, which was hit, are valid
        // for the duration of this call.
        let cx = unsafe { Context::<Pre>::new(regs, &raw const (*rp).kp, hit.index) };
        match hit.handler.entry(&cx) {
            Some(data) => {
                // SAFETY: `data` of the instance has room for `data_size` bytes, the size of
                // `Data`, and `Calls::of` checks the alignment.
                unsafe { (&raw mut (*ri).data).cast::<Data<O>>().write(data) };
                0
            }
            None => 1,
        }
    }

    /// # Safety
    ///
    /// To be called only as the `handler` of a probe of `O`.
    unsafe extern "C" fn ret(
        ri: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: By the safety requirements, `ri` is an instance of a probe of `O`.
        let Some(rp) = (unsafe { kretprobe_of(ri) }) else {
            return 0;
        };
        // SAFETY: `rp` is a probe of `O`, and unregistering it waits for this call.
        let hit = unsafe { O::hit(rp) };
        // SAFETY: As in `entry`.
        let cx = unsafe { Context::<Return>::new(regs, &raw const (*rp).kp, hit.index) };
        // SAFETY: Either `entry` has written the data of this instance, or there is no entry
        // handler and `Calls::of` has checked that `Data` is `()`.
        let data = unsafe { (&raw const (*ri).data).cast::<Data<O>>().read() };
        hit.handler.ret(&cx, data);
        0
    }
}
