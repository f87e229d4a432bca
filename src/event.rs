// SPDX-License-Identifier: GPL-2.0

//! Trace events: typed records for tracefs, perf, trace-cmd and bpftrace.
//!
//! C header: [`include/linux/trace_events.h`](srctree/include/linux/trace_events.h)
//!
//! [`trace_event!`](crate::trace_event) declares a record and its event. The event has a directory
//! in `/sys/kernel/tracing/events`, like those of the kernel's `TRACE_EVENT()`.
//!
//! The listeners of an event are perf, BPF programs, and the tracefs instances in which the event
//! is enabled or has a trigger. An event can arm a probe, see [`Armed`]: the first listener enables
//! the probe, and the last one to detach disables it. If enabling the probe fails, enabling the
//! event fails with that error. A trigger cannot be refused; for a trigger, an error is logged, and
//! the next listener retries.
//!
//! tracefs and perf report lost records, with one exception: if perf is already handling another
//! event on the same CPU and in the same context (task, softirq, interrupt or NMI), it drops the
//! record without counting it. The kernel's own events have the same limit.
//!
//! Unloading the module clears the buffers of all instances in which one of its events was enabled.
//! It fails while perf or a BPF program is attached.
//!
//! If the kernel already has an event with the same system and name (`SYSTEM:NAME`), loading the
//! module logs an error and fails with `EBUSY`. The kernel creates no events for a module that is
//! loaded by force.
//!
//! For fields that are known only at run time, use the kernel's synthetic events
//! (`synth_event_create()`).
//!
//! # Examples
//!
//! ```
//! use kernel::prelude::*;
//! use kprobes::{
//!     event::{Armed, Str},
//!     kprobe, Filename, Kprobe, Target,
//! };
//!
//! kprobes::trace_event! {
//!     /// A program opens a file.
//!     struct Opens<'a> = "my_module:opens" {
//!         directory: i32,
//!         name: Str<'a, 64>,
//!     }
//! }
//!
//! struct Open;
//!
//! #[vtable]
//! impl kprobe::Handler for Open {
//!     fn pre(&self, cx: &kprobe::Context<'_>) {
//!         let (directory, filename): (i32, Filename) = cx.args();
//!         let mut buf = [0; 64];
//!         let name = filename.name().and_then(|name| name.read(&mut buf)).into();
//!         Opens { directory, name }.emit(cx);
//!     }
//! }
//!
//! # fn f() -> Result {
//! let options = kprobe::Options::default().disabled();
//! let open = Kprobe::with_options(Target::symbol(c"do_file_open"), options, Open);
//! let probe: Pin<KBox<Armed<Kprobe<Open>>>> = KBox::pin_init(Opens::arms(open), GFP_KERNEL)?;
//! # drop(probe); Ok(()) }
//! ```
//!
//! ```text
//! # perf trace -e my_module:opens ls
//! # bpftrace -e 'tracepoint:my_module:opens { @[str(args->name)] = count() }'
//! # echo 'hist:keys=name' > /sys/kernel/tracing/events/my_module/opens/trigger
//! ```
//!
//! With bpftrace 0.23, `str(args->name)` is an empty string, also for the kernel's own events. On a
//! kernel without BTF, a bpftrace script that uses an event with an `i64` or a [`Pid`] field must
//! define the type `s64` or `pid_t`, for example with `#define s64 long long`.

use crate::common::*;

mod armed;
#[doc(hidden)]
pub mod declare;
mod field;
mod fields;
mod format;
mod pass;
mod text;

pub use armed::Armed;
pub use field::{
    Errno,
    Field,
    Hex,
    Integer,
    Pid,
    Str,
    Symbol, //
};
#[doc(hidden)]
pub use fields::Fields;
pub(crate) use text::has_at;

/// A trace event of the module.
///
/// # Invariants
///
/// It is a static. `event.c` writes `listeners`, `perf` and `more` atomically, with its lock held.
#[repr(transparent)]
pub struct Event(UnsafeCell<bindings::kprobes_event>);

// SAFETY: Rust reads only the fields of the type invariant, atomically.
unsafe impl Sync for Event {}

impl Event {
    #[inline(always)]
    fn listeners(&self) -> *mut bindings::kprobes_listener {
        // SAFETY: By the type invariant, the field is a pointer that is written atomically.
        let listeners = unsafe { AtomicPtr::from_ptr(&raw mut (*self.0.get()).listeners) };
        listeners.load(Ordering::Acquire)
    }

    #[inline(always)]
    fn perf(&self) -> bool {
        // SAFETY: By the type invariant, the field is a bool that is written atomically.
        let perf = unsafe { AtomicBool::from_ptr(&raw mut (*self.0.get()).perf) };
        perf.load(Ordering::Acquire)
    }

    /// Returns whether the event has a listener.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn is_enabled(&self) -> bool {
        !self.listeners().is_null() || self.perf()
    }

    /// Passes a record to all listeners. Types that [`trace_event!`](crate::trace_event) declares
    /// have this as a method.
    ///
    /// Context: any handler.
    #[inline(always)]
    pub fn emit<R: Record, At: Place>(record: R, cx: &Context<'_, At>) {
        let event = R::event();
        if !At::Hit::PREEMPTIBLE || event.is_enabled() {
            // SAFETY: `event` is the event of `R`, whose fields `fields()` returns.
            unsafe { event.pass_at(&record.fields(), cx) };
        }
    }
}

/// A record that [`trace_event!`](crate::trace_event) declares.
///
/// # Safety
///
/// `event()` must return the [`Event`] with the tables of this declaration.
pub unsafe trait Record: declare::Declared {
    /// Returns the event of this record.
    fn event() -> &'static Event;
}
