// SPDX-License-Identifier: GPL-2.0

//! Trace events: typed records for tracefs, perf, trace-cmd and bpftrace.
//!
//! C header: [`include/linux/trace_events.h`](srctree/include/linux/trace_events.h)
//!
//! [`trace_event!`](crate::trace_event) declares a record. It is an event like those of the
//! kernel's `TRACE_EVENT()`, with its own folder in `/sys/kernel/tracing/events`: `format`, `id`,
//! `enable`, `filter`, `trigger` and, with `CONFIG_HIST_TRIGGERS`, `hist`.
//!
//! The listeners of an event are the instances of tracefs that have it enabled, also for a trigger,
//! and perf and BPF programs. An event can arm a probe, see [`Armed`]: the first listener enables
//! the probe, the last one disables it. If the probe cannot be enabled, enabling the event fails
//! with that error. The kernel cannot take back a trigger: then an error is logged, and the next
//! listener tries again.
//!
//! The buffer of tracefs or perf reports which records were lost; those that a filter rejects are
//! not. perf also ignores a record, and counts it nowhere, if perf itself is handling an event on
//! that CPU in the same context: task, softirq, interrupt or NMI. The kernel's own events have the
//! same limit.
//!
//! Unloading the module empties the buffers of the instances in which an event of it was enabled,
//! and fails while perf or a BPF program listens.
//!
//! If an event of that system and name exists, loading the module fails with `EBUSY` and logs an
//! error. (`EEXIST` is the module loader's own.) The kernel creates no events for a module that was
//! loaded by force.
//!
//! Where the fields are known only at run time, the kernel's synthetic events serve:
//! `synth_event_create()` is exported to modules.
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
//! (bpftrace 0.23 gets an empty string from `str(args->name)`, also for the kernel's own events.
//! On a kernel without BTF, it does not know the types `s64` and `pid_t` either, unless the program
//! begins with `#define s64 long long`, for example.)

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
/// It is a static. `listeners` and `perf` are written by C, under its lock.
#[repr(transparent)]
pub struct Event(UnsafeCell<bindings::kprobes_event>);

// SAFETY: C locks what it writes, and handlers read `listeners` and `perf` atomically.
unsafe impl Sync for Event {}

impl Event {
    #[inline(always)]
    fn listeners(&self) -> *mut bindings::kprobes_listener {
        // SAFETY: The field is a pointer, which C writes atomically.
        let listeners = unsafe { AtomicPtr::from_ptr(&raw mut (*self.0.get()).listeners) };
        listeners.load(Ordering::Acquire)
    }

    #[inline(always)]
    fn perf(&self) -> bool {
        // SAFETY: The field is a bool, which C writes atomically.
        let perf = unsafe { AtomicBool::from_ptr(&raw mut (*self.0.get()).perf) };
        perf.load(Ordering::Acquire)
    }

    /// Returns whether there is a listener.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn is_enabled(&self) -> bool {
        !self.listeners().is_null() || self.perf()
    }

    /// Passes a record to all listeners. What [`trace_event!`](crate::trace_event) declares has
    /// this as a method.
    ///
    /// Context: any handler's.
    #[inline(always)]
    pub fn emit<R: Record, At: Place>(record: R, cx: &Context<'_, At>) {
        let event = R::event();
        if !At::Hit::PREEMPTIBLE || event.is_enabled() {
            // SAFETY: It is the event of `R`, whose fields these are.
            unsafe { event.pass_at(&record.fields(), cx) };
        }
    }
}

/// A record that [`trace_event!`](crate::trace_event) declares.
///
/// # Safety
///
/// `event()` must be an [`Event`] that was made with the tables of this declaration.
pub unsafe trait Record: declare::Declared {
    /// Returns the event that this is a record of.
    fn event() -> &'static Event;
}
