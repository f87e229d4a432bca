// SPDX-License-Identifier: GPL-2.0

//! Passes a record to the listeners: tracefs instances, perf and BPF programs.

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
        }
        // SAFETY: Preemption is disabled. By the safety requirements, `self` has these fields.
        unsafe { self.pass::<F, At>(fields, cx.saved()) };
        if At::Hit::PREEMPTIBLE {
            // SAFETY: Preemption was disabled above.
            unsafe { bindings::kprobes_preempt_enable() };
        }
    }

    #[inline(always)]
    fn more(&self) -> bool {
        // SAFETY: By the type invariant, the field is a bool that is written atomically.
        let more = unsafe { AtomicBool::from_ptr(&raw mut (*self.0.get()).more) };
        more.load(Ordering::Relaxed)
    }

    /// # Safety
    ///
    /// Preemption must be disabled, `self` be the event of a record with these fields, and `regs`
    /// be the saved registers of `At` or null.
    #[inline(always)]
    unsafe fn pass<F: Fields, At: Place>(&self, fields: &F, regs: *mut pt_regs) {
        let first = self.listeners();
        if !first.is_null() {
            // SAFETY: `event.c` frees listeners after a grace period, and preemption is disabled.
            let file = unsafe { (*first).file };
            // SAFETY: By the safety requirements. `first` is a listener.
            unsafe { to_file::<F, At>(fields, file, regs) };
        }
        if self.more() {
            // SAFETY: By the safety requirements. `first` was read with preemption disabled.
            unsafe { self.pass_to_others::<F, At>(fields, first, regs) };
        }
    }

    /// Passes a record to all listeners after `first`.
    ///
    /// # Safety
    ///
    /// As for `pass`. `first` must be from `listeners()`, read with preemption disabled.
    #[cold]
    #[inline(never)]
    unsafe fn pass_to_others<F: Fields, At: Place>(
        &self,
        fields: &F,
        first: *mut bindings::kprobes_listener,
        regs: *mut pt_regs,
    ) {
        let mut listener = first;
        while !listener.is_null() {
            // SAFETY: As in `pass`. `event.c` writes `next` atomically.
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
            // SAFETY: By the safety requirements, which are the same.
            unsafe { self.to_perf(fields, regs) };
        }
    }

    /// Passes a record to perf and to BPF programs.
    ///
    /// # Safety
    ///
    /// As for `pass`.
    #[inline]
    unsafe fn to_perf<F: Fields>(&self, fields: &F, mut regs: *mut pt_regs) {
        // perf adds a `u32`. The sum must be a multiple of 8.
        let size =
            (size_with_tail(fields) + size_of::<u32>()).next_multiple_of(8) - size_of::<u32>();
        let mut context = 0;
        // SAFETY: By the safety requirements, preemption is disabled. If perf has closed the event,
        // `event.c` waits for an RCU grace period before the kernel frees `perf_events`.
        let entry =
            unsafe { bindings::kprobes_event_perf(self.0.get(), size, &mut regs, &mut context) };
        if entry.is_null() {
            return;
        }
        // SAFETY: `entry` is aligned to 8 and valid for writing `size` bytes.
        unsafe { store(fields, entry.cast()) };
        // SAFETY: `entry`, `regs` and `context` are from the function above.
        unsafe { bindings::kprobes_event_perf_submit(self.0.get(), entry, size, regs, context) };
    }
}

/// Returns the size of a record in the buffer of tracefs, a multiple of 4.
#[inline(always)]
fn size_with_tail<F: Fields>(fields: &F) -> usize {
    F::SIZE + fields.tail().next_multiple_of(4)
}

/// Writes a record except its `trace_entry`.
///
/// # Safety
///
/// `to` must be valid for writing `size_with_tail(fields)` bytes, and aligned to 4.
#[inline(always)]
unsafe fn store<F: Fields>(fields: &F, to: *mut u8) {
    if F::PADDED {
        // SAFETY: By the safety requirements, `to` has `F::SIZE` bytes, an `Entry` first.
        unsafe { ptr::write_bytes(to.add(size_of::<Entry>()), 0, F::SIZE - size_of::<Entry>()) };
    }
    if F::MAX_TAIL > 0 {
        // The padding after the strings.
        //
        // SAFETY: By the safety requirements, `to` is valid. The tail has at least 4 bytes.
        unsafe { to.add(size_with_tail(fields) - 4).cast::<u32>().write(0) };
    }
    let mut at = F::SIZE;
    // SAFETY: By the safety requirements, `to` has room for the fields and, from `SIZE` on, for
    // their tails.
    unsafe { fields.store(to, size_of::<Entry>(), &mut at) };
}

/// Passes a record to a tracefs instance, as `trace_event_raw_event_*()` of a `TRACE_EVENT()` does.
///
/// # Safety
///
/// `file` must be of a listener that was read with preemption disabled, as it still is. `regs` must
/// be the saved registers of `At` or null.
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
        // SAFETY: By the safety requirements, `file` is valid. The read is volatile because the
        // kernel may write the flags concurrently.
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
        // SAFETY: By the safety requirements, `file` is valid, and preemption is disabled.
        let entry =
            unsafe { bindings::trace_event_buffer_reserve(buffer.as_mut_ptr(), file, size) };
        if entry.is_null() {
            return;
        }
        if At::Hit::SAVED {
            // SAFETY: The function above has initialised `buffer`.
            unsafe { (*buffer.as_mut_ptr()).regs = regs };
        }
        // SAFETY: `entry` was reserved with this size, and the kernel aligns it to 4.
        unsafe { store(fields, entry.cast()) };
        // SAFETY: `buffer` is initialised, and the record is written.
        unsafe { bindings::trace_event_buffer_commit(buffer.as_mut_ptr()) };
    }
    #[cfg(not(CONFIG_EVENT_TRACING))]
    let _ = (fields, file, regs);
}

/// Runs the triggers without a filter, and returns whether `file` discards the record.
///
/// # Safety
///
/// `file` must be valid, and `flags` be read from it.
#[cfg(CONFIG_EVENT_TRACING)]
#[cold]
#[inline]
unsafe extern "C" fn soft_disabled(file: *mut bindings::trace_event_file, flags: c_ulong) -> bool {
    flags & bindings::KPROBES_FILE_COND == 0
        // SAFETY: By the safety requirements.
        && unsafe { bindings::__trace_trigger_soft_disabled(file) }
}
