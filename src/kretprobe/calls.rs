// SPDX-License-Identifier: GPL-2.0

//! What the kernel calls for a kretprobe, and the way from there to its handler.

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
    /// Those that ftrace knows as functions.
    Known,
    /// Those that somebody vouches for.
    Any,
}

/// What the kernel calls at the entry or the return.
type Callback =
    unsafe extern "C" fn(*mut bindings::kretprobe_instance, *mut bindings::pt_regs) -> c_int;

/// Where a kretprobe goes, and what the kernel is told to call.
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
    /// The callbacks for probes of `O`.
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
        };
        // Without an entry handler nobody writes the data, so it must be of the one type that is
        // known to have a value without that.
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

// SAFETY: `of` is called for the type that holds the probe.
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
            // SAFETY: By the safety requirements, `rp` is registered, so it has an address, which
            // nobody writes.
            to_result(unsafe { bindings::kprobes_function_entry((*rp).kp.addr.cast()) })?;
        }
        Ok(Round::First)
    }
}

/// The kretprobe that `ri` is an instance of, as `get_kretprobe()` in C.
///
/// `None` where the probe is being unregistered on another CPU; that can be
/// seen only on architectures without `CONFIG_KRETPROBE_ON_RETHOOK`.
///
/// # Safety
///
/// `ri` must be an instance that the kernel passes to a handler.
#[inline(always)]
unsafe fn kretprobe_of(ri: *mut bindings::kretprobe_instance) -> Option<*mut bindings::kretprobe> {
    #[cfg(CONFIG_KRETPROBE_ON_RETHOOK)]
    {
        // SAFETY: The instance is valid, its rethook is, and the data of that is the kretprobe,
        // which never changes.
        Some(unsafe { (*(*ri).node.rethook).data }.cast())
    }

    #[cfg(not(CONFIG_KRETPROBE_ON_RETHOOK))]
    {
        // SAFETY: The instance is valid and so is its holder; the kernel may write `rp` while we
        // read it, hence volatile.
        let rp = unsafe { core::ptr::read_volatile(&raw const (*(*ri).rph).rp) };
        (!rp.is_null()).then_some(rp)
    }
}

/// What the handler of `O` keeps from the entry to the return.
type Data<O> = <<O as Owner<bindings::kretprobe>>::Handler as Handler>::Data;

/// The kernel's way to the handlers of probes of `O`.
struct Callbacks<O>(PhantomData<O>);

impl<O: Owner<bindings::kretprobe, Handler: Handler>> Callbacks<O> {
    const ENTRY: Option<Callback> = if O::Handler::HAS_ENTRY {
        Some(Self::entry)
    } else {
        None
    };

    /// # Safety
    ///
    /// Only for the `entry_handler` of a probe of `O`.
    unsafe extern "C" fn entry(
        ri: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: By the safety requirements, `ri` is an instance of a probe of `O`.
        let Some(rp) = (unsafe { kretprobe_of(ri) }) else {
            return 1;
        };
        // SAFETY: As above; unregistering the probe waits for this call.
        let hit = unsafe { O::hit(rp) };
        // SAFETY: The kernel passes the registers of the probed function, and `rp` was hit; both are
        // ours for the time of this call.
        let cx = unsafe { Context::<Pre>::new(regs, &raw const (*rp).kp, hit.index) };
        match hit.handler.entry(&cx) {
            Some(data) => {
                // SAFETY: `data` of the instance has room for `data_size` bytes, which is the size
                // of `Data`, and is aligned for it, as `Calls::of` makes sure.
                unsafe { (&raw mut (*ri).data).cast::<Data<O>>().write(data) };
                0
            }
            None => 1,
        }
    }

    /// # Safety
    ///
    /// Only for the `handler` of a probe of `O`.
    unsafe extern "C" fn ret(
        ri: *mut bindings::kretprobe_instance,
        regs: *mut bindings::pt_regs,
    ) -> c_int {
        // SAFETY: By the safety requirements, `ri` is an instance of a probe of `O`.
        let Some(rp) = (unsafe { kretprobe_of(ri) }) else {
            return 0;
        };
        // SAFETY: As above; unregistering the probe waits for this call.
        let hit = unsafe { O::hit(rp) };
        // SAFETY: As in `entry`, at the return.
        let cx = unsafe { Context::<Return>::new(regs, &raw const (*rp).kp, hit.index) };
        // SAFETY: Either `entry` has written the data of this instance, or there is no entry handler
        // and `Data` is `()`, as `Calls::of` makes sure.
        let data = unsafe { (&raw const (*ri).data).cast::<Data<O>>().read() };
        hit.handler.ret(&cx, data);
        0
    }
}
