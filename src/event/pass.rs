// SPDX-License-Identifier: GPL-2.0

//! How a record is passed to the listeners: the instances of tracefs, perf, BPF programs.

use super::{
    fields::{
        Entry,
        Fields, //
    },
    Event, //
};
use crate::common::*;

impl Event {
    /// # Safety
    ///
    /// `self` must be the event of a record with these fields.
    #[inline(always)]
    pub(super) unsafe fn pass_at<F: Fields, At: Place>(&self, fields: &F, cx: &Context<'_, At>) {
        if At::Hit::PREEMPTIBLE {
            // SAFETY: The function may be called in any context.
            unsafe { bindings::kprobes_preempt_disable() };
            // SAFETY: Preemption has just been disabled; the rest by the safety requirements.
            unsafe { self.pass::<F, At>(fields, cx.saved()) };
            // SAFETY: This undoes the above.
            unsafe { bindings::kprobes_preempt_enable() };
        } else {
            // SAFETY: Such a handler runs with preemption disabled; the rest by the safety
            // requirements.
            unsafe { self.pass::<F, At>(fields, cx.saved()) };
        }
    }

    #[inline(always)]
    fn more(&self) -> bool {
        // SAFETY: The field is a bool, which C writes atomically.
        let more = unsafe { AtomicBool::from_ptr(&raw mut (*self.0.get()).more) };
        more.load(Ordering::Relaxed)
    }

    /// # Safety
    ///
    /// Preemption must be disabled, `self` be the event of a record with these fields, and `regs`
    /// be what `At` has saved.
    #[inline(always)]
    unsafe fn pass<F: Fields, At: Place>(&self, fields: &F, regs: *mut pt_regs) {
        let first = self.listeners();
        if !first.is_null() {
            // SAFETY: C frees a listener after a grace period of RCU, which does not end while
            // preemption is disabled. `file` does not change.
            let file = unsafe { (*first).file };
            // SAFETY: The kernel frees the file after it has removed the listener. The rest by the
            // safety requirements.
            unsafe { to_file::<F, At>(fields, file, regs) };
        }
        if self.more() {
            // SAFETY: By the safety requirements; `first` is valid as above, or null.
            unsafe { self.pass_further::<F, At>(fields, first, regs) };
        }
    }

    /// Passes a record to all but the first of the listeners.
    ///
    /// # Safety
    ///
    /// Those of `pass`; `first` must have been the first one since preemption is disabled, or null.
    #[cold]
    #[inline(never)]
    unsafe fn pass_further<F: Fields, At: Place>(
        &self,
        fields: &F,
        first: *mut bindings::kprobes_listener,
        regs: *mut pt_regs,
    ) {
        let mut listener = first;
        while !listener.is_null() {
            // SAFETY: As in `pass`; C may write `next` meanwhile, atomically.
            let next = unsafe { AtomicPtr::from_ptr(&raw mut (*listener).next) };
            listener = next.load(Ordering::Acquire);
            if listener.is_null() {
                break;
            }
            // SAFETY: As in `pass`.
            let file = unsafe { (*listener).file };
            // SAFETY: As in `pass`.
            unsafe { to_file::<F, At>(fields, file, regs) };
        }
        if self.perf() {
            // SAFETY: By the safety requirements.
            unsafe { self.to_perf(fields, regs) };
        }
    }

    /// Passes a record to perf and to BPF programs.
    ///
    /// # Safety
    ///
    /// Those of `pass`.
    #[inline]
    unsafe fn to_perf<F: Fields>(&self, fields: &F, mut regs: *mut pt_regs) {
        // perf adds a `u32`, and wants all of it to be a multiple of 8.
        let size =
            (size_with_tail(fields) + size_of::<u32>()).next_multiple_of(8) - size_of::<u32>();
        let mut context = 0;
        // SAFETY: Preemption is disabled by the safety requirements. perf has opened the event, or
        // had before the current grace period of RCU, at whose end it frees what the function uses.
        let entry =
            unsafe { bindings::kprobes_event_perf(self.0.get(), size, &mut regs, &mut context) };
        if entry.is_null() {
            return;
        }
        // SAFETY: `entry` is valid for writing `size` bytes, and aligned as a `u64` is. Behind what
        // this writes, the function has written zeroes.
        unsafe { store(fields, entry.cast()) };
        // SAFETY: `entry`, `regs` and `context` are what the function above gave.
        unsafe { bindings::kprobes_event_perf_submit(self.0.get(), entry, size, regs, context) };
    }
}

/// The size of a record in the buffer of tracefs, which is a multiple of 4.
#[inline(always)]
fn size_with_tail<F: Fields>(fields: &F) -> usize {
    F::SIZE + fields.tail().next_multiple_of(4)
}

/// Writes a record, but for its `trace_entry`.
///
/// # Safety
///
/// `to` must be valid for writing `size_with_tail(fields)` bytes, and aligned to 4.
#[inline(always)]
unsafe fn store<F: Fields>(fields: &F, to: *mut u8) {
    if F::PADDED {
        // SAFETY: By the safety requirements; a record begins with an entry.
        unsafe { ptr::write_bytes(to.add(size_of::<Entry>()), 0, F::SIZE - size_of::<Entry>()) };
    }
    if F::MAX_TAIL > 0 {
        // What is behind the strings.
        //
        // SAFETY: By the safety requirements. The tail is not empty, so the last 4 bytes are behind
        // the entry.
        unsafe { to.add(size_with_tail(fields) - 4).cast::<u32>().write(0) };
    }
    let mut at = F::SIZE;
    // SAFETY: By the safety requirements, `to` has room for the fields, and from `SIZE` on for
    // their tails.
    unsafe { fields.store(to, size_of::<Entry>(), &mut at) };
}

/// Passes a record to an instance of tracefs, as `trace_event_raw_event_*()` of a `TRACE_EVENT()`
/// does.
///
/// # Safety
///
/// Preemption must be disabled, and `file` be that of an instance in which the event is enabled, or
/// was before the current grace period of RCU. `regs` must be what `At` has saved.
#[inline(always)]
unsafe fn to_file<F: Fields, At: Place>(
    fields: &F,
    file: *mut bindings::trace_event_file,
    regs: *mut pt_regs,
) {
    #[cfg(CONFIG_EVENT_TRACING)]
    {
        // As trace_trigger_soft_disabled().
        //
        // SAFETY: By the safety requirements, `file` is valid, and has its flags there. The kernel
        // may write them meanwhile, hence volatile.
        let flags = unsafe {
            file.byte_add(bindings::KPROBES_FILE_FLAGS)
                .cast::<c_ulong>()
                .read_volatile()
        };
        // SAFETY: By the safety requirements, `file` is valid.
        if flags & bindings::KPROBES_FILE_CHECK != 0 && unsafe { soft_disabled(file, flags) } {
            return;
        }
        let mut buffer = MaybeUninit::<bindings::trace_event_buffer>::uninit();
        let size = size_with_tail(fields);
        // SAFETY: By the safety requirements, `file` is valid, and preemption disabled. The
        // function initialises `buffer` if it does not return null.
        let entry =
            unsafe { bindings::trace_event_buffer_reserve(buffer.as_mut_ptr(), file, size) };
        if entry.is_null() {
            return;
        }
        if At::Hit::SAVED {
            // SAFETY: `buffer` is valid, and `regs` are saved registers. The function has set null.
            unsafe { (*buffer.as_mut_ptr()).regs = regs };
        }
        // SAFETY: `entry` has been reserved with that size; the kernel aligns it to 4.
        unsafe { store(fields, entry.cast()) };
        // SAFETY: `buffer` was initialised by the function above, and the record is written.
        unsafe { bindings::trace_event_buffer_commit(buffer.as_mut_ptr()) };
    }
    #[cfg(not(CONFIG_EVENT_TRACING))]
    let _ = (fields, file, regs);
}

/// Returns whether a file has triggers that see the record, but does not keep it.
///
/// # Safety
///
/// `file` must be valid, and `flags` have been its flags.
#[cfg(CONFIG_EVENT_TRACING)]
#[cold]
#[inline]
unsafe extern "C" fn soft_disabled(file: *mut bindings::trace_event_file, flags: c_ulong) -> bool {
    flags & bindings::KPROBES_FILE_COND == 0
        // SAFETY: By the safety requirements.
        && unsafe { bindings::__trace_trigger_soft_disabled(file) }
}
