// SPDX-License-Identifier: GPL-2.0

//! Trace events: typed records for tracefs, perf, trace-cmd and bpftrace.
//!
//! C header: [`include/linux/trace_events.h`](srctree/include/linux/trace_events.h)
//!
//! [`trace_event!`](crate::trace_event) declares a record. It is an event like those
//! of the kernel's `TRACE_EVENT()`, with its own folder in
//! `/sys/kernel/tracing/events`: `format`, `id`, `enable`, `filter`, `trigger` and,
//! with `CONFIG_HIST_TRIGGERS`, `hist`.
//!
//! A probe can be armed by an event, see [`Armed`]: the first who listens enables
//! it, the last one disables it. Those who listen are the instances of tracefs that
//! have the event enabled, also for a trigger, and perf and BPF programs.
//!
//! The buffer of tracefs or perf tells which records were lost; those that a filter
//! rejects are not. Unloading the module empties the buffers of the instances in
//! which an event of it was enabled, and fails while perf or a BPF program listens.
//!
//! If an event of that system and name exists, loading the module fails with `EBUSY`
//! and logs a line. (`EEXIST` is the module loader's own.) The kernel creates no events for a module that was loaded by
//! force.
//!
//! Where the fields are known only at run time, [`Dynamic`] is such an event.
//!
//! # Examples
//!
//! ```
//! use kernel::prelude::*;
//! use kprobes::{
//!     event::{Armed, Str},
//!     kprobe,
//!     nofault::UserStr,
//!     Context, Kprobe, Target,
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
//!     fn pre(&self, cx: &Context<'_>) {
//!         let (directory, name): (i32, UserStr) = cx.args();
//!         let mut buf = [0; 65];
//!         let name = name.read(&mut buf).into();
//!         Opens { directory, name }.emit(cx);
//!     }
//! }
//!
//! # fn f() -> Result {
//! let target = Target::symbol(c"do_sys_openat2").disabled();
//! let probe: Pin<KBox<Armed<Kprobe<Open>>>> =
//!     KBox::pin_init(Opens::arms(Kprobe::new(target, Open)), GFP_KERNEL)?;
//! # drop(probe); Ok(()) }
//! ```
//!
//! ```text
//! # perf trace -e my_module:opens ls
//! # bpftrace -e 'tracepoint:my_module:opens { @[str(args.name)] = count() }'
//! # echo 'hist:keys=name' > /sys/kernel/tracing/events/my_module/opens/trigger
//! ```

use crate::{
    bindings,
    context::{
        Context,
        Place, //
    }, //
};
use core::{
    cell::UnsafeCell,
    mem::{
        offset_of,
        MaybeUninit, //
    },
    ptr,
    sync::atomic::{
        AtomicBool,
        AtomicPtr,
        Ordering, //
    }, //
};
use kernel::prelude::*;

mod armed;
mod dynamic;
mod field;
#[doc(hidden)]
pub mod text;

#[doc(hidden)]
pub use armed::ArmCall;
pub use armed::{
    Arm,
    Armed,
    Source, //
};
pub use dynamic::{
    Dynamic,
    Type,
    Values, //
};
pub use field::{
    Errno,
    Field,
    Hex,
    Integer,
    Str,
    Symbol, //
};

/// The largest record, with the longest strings.
const MAX_SIZE: usize = 2048;

/// What each record begins with: `struct trace_entry`.
#[doc(hidden)]
pub type Entry = bindings::trace_entry;

/// One of the tables of C structs that the kernel reads, which is a static.
#[doc(hidden)]
#[repr(transparent)]
pub struct Table<T>(UnsafeCell<T>);

// SAFETY: Only the kernel accesses it, which knows how.
unsafe impl<T> Sync for Table<T> {}

impl<T> Table<T> {
    pub const fn new(table: T) -> Self {
        Self(UnsafeCell::new(table))
    }

    const fn get(&self) -> *mut T {
        self.0.get()
    }
}

/// A trace event of the module.
///
/// # Invariants
///
/// It is there until the module's end. `listeners` and `perf` are written by C, under its lock.
#[repr(transparent)]
pub struct Event(UnsafeCell<bindings::kprobes_event>);

// SAFETY: C locks what it writes, and handlers read `listeners` and `perf` atomically.
unsafe impl Sync for Event {}

/// An entry of the section in which the kernel looks for the module's events.
#[doc(hidden)]
#[repr(transparent)]
pub struct Listed(pub &'static Event);

/// The fields for the kernel's `struct trace_event_fields`, and an empty one at the
/// end.
#[doc(hidden)]
pub const fn fields<const LEN: usize>(
    described: &[text::Described<'_>],
) -> [bindings::kprobes_event_field; LEN] {
    assert!(LEN == described.len() + 1);
    let mut fields = [const {
        bindings::kprobes_event_field {
            type_: ptr::null(),
            name: ptr::null(),
            size: 0,
            align: 0,
            is_signed: 0,
            filter_type: 0,
            len: 0,
        }
    }; LEN];
    let mut n = 0;
    while n < described.len() {
        let field = &described[n];
        let array = matches!(field.kind, field::Kind::Array | field::Kind::Chars);
        fields[n] = bindings::kprobes_event_field {
            type_: field.ty.as_ptr().cast(),
            name: field.name.as_ptr().cast(),
            size: (field.size * field.count) as c_int,
            align: field.align as c_int,
            is_signed: field.signed as c_uint,
            // FILTER_OTHER: the kernel looks at the type.
            filter_type: 0,
            len: if array { field.count as c_int } else { 0 },
        };
        n += 1;
    }
    fields
}

/// How C prints the fields.
#[doc(hidden)]
pub const fn shows<const LEN: usize>(
    described: &[text::Described<'_>],
) -> [bindings::kprobes_event_show; LEN] {
    let mut shows = [const {
        bindings::kprobes_event_show {
            kind: 0,
            size: 0,
            offset: 0,
            count: 0,
            max: 0,
        }
    }; LEN];
    let mut n = 0;
    while n < LEN {
        let field = &described[n];
        shows[n] = bindings::kprobes_event_show {
            kind: field.kind.c(),
            size: field.size as u8,
            offset: field.offset as u16,
            count: field.count as u16,
            max: 0,
        };
        n += 1;
    }
    shows
}

/// Whether a record has bytes that belong to no field.
#[doc(hidden)]
pub const fn padded(described: &[text::Described<'_>], size: usize) -> bool {
    let mut sum = size_of::<Entry>();
    let mut n = 0;
    while n < described.len() {
        sum += described[n].size * described[n].count;
        n += 1;
    }
    sum != size
}

impl Event {
    /// # Safety
    ///
    /// `this` must be the static that is initialised with the result. `names` must be two C
    /// strings, the second of which starts at `name`; `print_fmt` and `line` must be C strings;
    /// `fields` must end with an empty one, and describe the fields of a record, as `shows`
    /// does; `line` must name only fields that `shows` has.
    #[doc(hidden)]
    pub const unsafe fn new<
        const NAMES: usize,
        const PRINT: usize,
        const LINE: usize,
        const FIELDS: usize,
        const SHOWS: usize,
    >(
        this: *const Self,
        names: &'static [u8; NAMES],
        name: usize,
        print_fmt: &'static Table<[u8; PRINT]>,
        line: &'static [u8; LINE],
        fields: &'static Table<[bindings::kprobes_event_field; FIELDS]>,
        shows: &'static [bindings::kprobes_event_show; SHOWS],
    ) -> Self {
        let this: *mut u8 = this.cast_mut().cast();
        // SAFETY: All zeroes is a valid value: it consists of integers and nullable pointers.
        let mut event: bindings::kprobes_event = unsafe { MaybeUninit::zeroed().assume_init() };
        event.system = names.as_ptr().cast();
        event.name = names.split_at(name).1.as_ptr().cast();
        event.print_fmt = print_fmt.get().cast();
        event.line = line.as_ptr();
        event.fields = fields.get().cast();
        event.shows = shows.as_ptr();
        // What the kernel reads before it calls `raw_init`, which sets the rest.
        event.tp.name = event.name;
        event.class.raw_init = Some(bindings::kprobes_event_raw_init);
        event.call.flags = bindings::KPROBES_EVENT_FLAGS;
        // SAFETY: By the safety requirements, `this` is a static of this type.
        unsafe {
            event.call.class = this.add(offset_of!(bindings::kprobes_event, class)).cast();
            event.call.__bindgen_anon_1.tp =
                this.add(offset_of!(bindings::kprobes_event, tp)).cast();
        }
        Self(UnsafeCell::new(event))
    }

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

    /// Returns whether anybody listens.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn is_enabled(&self) -> bool {
        !self.listeners().is_null() || self.perf()
    }

    /// Passes a record to all who listen. What [`trace_event!`](crate::trace_event)
    /// declares has this as a method.
    ///
    /// Context: any handler's.
    #[inline(always)]
    pub fn emit<R: Record, At: Place>(record: &R, cx: &Context<'_, At>) {
        let event = R::event();
        if !At::PREEMPTIBLE || event.is_enabled() {
            // SAFETY: It is the event of `R`.
            unsafe { event.pass_at(record, cx) };
        }
    }

    /// # Safety
    ///
    /// `self` must describe what `record` stores.
    #[inline(always)]
    unsafe fn pass_at<R: Stored, At: Place>(&self, record: &R, cx: &Context<'_, At>) {
        if At::PREEMPTIBLE {
            // SAFETY: The function may be called in any context.
            unsafe { bindings::kprobes_preempt_disable() };
            // SAFETY: Preemption has just been disabled; the rest by the safety requirements.
            unsafe { self.pass::<R, At>(record, cx.saved()) };
            // SAFETY: This undoes the above.
            unsafe { bindings::kprobes_preempt_enable() };
        } else {
            // SAFETY: Such a handler runs with preemption disabled; the rest by the safety
            // requirements.
            unsafe { self.pass::<R, At>(record, cx.saved()) };
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
    /// Preemption must be disabled, `self` describe what `record` stores, and `regs` be what `At` has
    /// saved.
    #[inline(always)]
    unsafe fn pass<R: Stored, At: Place>(&self, record: &R, regs: *mut bindings::pt_regs) {
        let first = self.listeners();
        if !first.is_null() {
            // SAFETY: C frees a listener after a grace period of RCU, which does not end while
            // preemption is disabled. Nobody writes `file`.
            let file = unsafe { (*first).file };
            // SAFETY: The kernel frees the file after it has removed the listener. The rest by
            // the safety requirements.
            unsafe { to_file::<R, At>(record, file, regs) };
        }
        if self.more() {
            // SAFETY: By the safety requirements; `first` is valid as above, or null.
            unsafe { self.pass_further::<R, At>(record, first, regs) };
        }
    }

    /// Passes a record to all but the first of the listeners.
    ///
    /// # Safety
    ///
    /// Those of `pass`; `first` must have been the first one since preemption is disabled, or null.
    #[cold]
    #[inline(never)]
    unsafe fn pass_further<R: Stored, At: Place>(
        &self,
        record: &R,
        first: *mut bindings::kprobes_listener,
        regs: *mut bindings::pt_regs,
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
            unsafe { to_file::<R, At>(record, file, regs) };
        }
        if self.perf() {
            // SAFETY: By the safety requirements.
            unsafe { self.to_perf(record, regs) };
        }
    }

    /// Passes a record to perf and to BPF programs.
    ///
    /// # Safety
    ///
    /// Those of `pass`.
    #[inline]
    unsafe fn to_perf<R: Stored>(&self, record: &R, mut regs: *mut bindings::pt_regs) {
        // perf adds a `u32`, and wants all of it to be a multiple of 8.
        let size =
            (size_with_tail(record) + size_of::<u32>()).next_multiple_of(8) - size_of::<u32>();
        let mut context = 0;
        // SAFETY: Preemption is disabled by the safety requirements. perf listens, or did before
        // the current grace period of RCU, at whose end it frees what the function uses.
        let entry =
            unsafe { bindings::kprobes_event_perf(self.0.get(), size, &mut regs, &mut context) };
        if entry.is_null() {
            return;
        }
        // SAFETY: `entry` is valid for writing `size` bytes, and aligned as a `u64` is. Behind what
        // this writes, the function has written zeroes.
        unsafe { store(record, entry.cast()) };
        // SAFETY: `entry`, `regs` and `context` are what the function above gave.
        unsafe { bindings::kprobes_event_perf_submit(self.0.get(), entry, size, regs, context) };
    }
}

/// The size of a record in the buffer of tracefs, which is a multiple of 4.
#[inline(always)]
fn size_with_tail<R: Stored>(record: &R) -> usize {
    R::SIZE + record.tail().next_multiple_of(4)
}

/// Writes a record, but for its `trace_entry`.
///
/// # Safety
///
/// `to` must be valid for writing `size_with_tail(record)` bytes, and aligned to 4.
#[inline(always)]
unsafe fn store<R: Stored>(record: &R, to: *mut u8) {
    if R::PADDED {
        // SAFETY: By the safety requirements; a record begins with an entry.
        unsafe { ptr::write_bytes(to.add(size_of::<Entry>()), 0, R::SIZE - size_of::<Entry>()) };
    }
    if R::MAX_TAIL > 0 {
        // What is behind the strings.
        //
        // SAFETY: By the safety requirements. The tail is not empty, so the last 4 bytes are behind
        // the entry.
        unsafe { to.add(size_with_tail(record) - 4).cast::<u32>().write(0) };
    }
    // SAFETY: By the safety requirements.
    unsafe { record.store(to) };
}

/// Passes a record to an instance of tracefs, as `trace_event_raw_event_*()` of a
/// `TRACE_EVENT()` does.
///
/// # Safety
///
/// Preemption must be disabled, and `file` be that of an instance in which the event of `record` is
/// enabled, or was before the current grace period of RCU. `regs` must be what `At` has saved.
#[inline(always)]
unsafe fn to_file<R: Stored, At: Place>(
    record: &R,
    file: *mut bindings::trace_event_file,
    regs: *mut bindings::pt_regs,
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
        if flags & bindings::KPROBES_FILE_LOOK != 0 && unsafe { soft_disabled(file, flags) } {
            return;
        }
        let mut buffer = MaybeUninit::<bindings::trace_event_buffer>::uninit();
        let size = size_with_tail(record);
        // SAFETY: By the safety requirements, `file` is valid, and preemption disabled. The function
        // initialises `buffer` if it does not return null.
        let entry =
            unsafe { bindings::trace_event_buffer_reserve(buffer.as_mut_ptr(), file, size) };
        if entry.is_null() {
            return;
        }
        if At::SAVED {
            // SAFETY: `buffer` is valid, and `regs` are saved registers. The function has set null.
            unsafe { (*buffer.as_mut_ptr()).regs = regs };
        }
        // SAFETY: `entry` has been reserved with that size; the kernel aligns it to 4.
        unsafe { store(record, entry.cast()) };
        // SAFETY: `buffer` was initialised by the function above, and the record is written.
        unsafe { bindings::trace_event_buffer_commit(buffer.as_mut_ptr()) };
    }
    #[cfg(not(CONFIG_EVENT_TRACING))]
    let _ = (record, file, regs);
}

/// Whether a file has something to do with a record, but not to keep it.
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

/// What can be written into the buffers of those who listen.
///
/// # Safety
///
/// `store` must write all fields, and the `tail()` bytes that follow `SIZE`, which are at most
/// `MAX_TAIL`; not the entry. If `PADDED` is false, no other bytes are among the first `SIZE`. If
/// `MAX_TAIL` is not 0, neither is `tail()`. The alignment is at most 4 in the buffer, so `store`
/// must not rely on more.
#[doc(hidden)]
pub unsafe trait Stored {
    const SIZE: usize;
    const MAX_TAIL: usize;
    const PADDED: bool;

    fn tail(&self) -> usize;

    /// # Safety
    ///
    /// `to` must be valid for writing `SIZE + tail()` bytes, and aligned to 4.
    unsafe fn store(&self, to: *mut u8);
}

/// A record that [`trace_event!`](crate::trace_event) declares.
///
/// # Safety
///
/// `event()` must describe the fields as `Stored::store` writes them.
pub unsafe trait Record: Stored {
    /// The event that this is a record of.
    fn event() -> &'static Event;
}

/// Checks that the largest record fits.
#[doc(hidden)]
#[inline]
pub const fn check_size(size: usize, max_tail: usize) {
    assert!(
        size + max_tail <= MAX_SIZE,
        "trace_event!: a record is at most 2048 bytes large"
    );
}

/// Declares a record, and the trace event of the module that it is a record of.
///
/// ```text
/// trace_event! {
///     struct RECORD [<'a>] = "SYSTEM:EVENT" [as "FORMAT"] {
///         FIELD: TYPE,
///         ...
///     }
/// }
/// ```
///
/// For the types see [`Field`](crate::event::Field). `FORMAT` is what a record is
/// printed as, with the names of fields in braces; without it that is `FIELD={FIELD}`
/// for each field.
///
/// The record has the methods `emit(&self, cx)`, which passes it to all who listen;
/// `is_enabled()`, which tells whether anybody does; and `arms(probe)`, which makes an
/// [`Armed`](crate::event::Armed).
///
/// # Examples
///
/// ```
/// use kprobes::event::{Errno, Hex, Str};
///
/// kprobes::trace_event! {
///     /// A program has opened a file, or failed to.
///     pub struct Opened<'a> = "my_module:opened" as "{name}: {result}" {
///         result: Errno,
///         flags: Hex<u64>,
///         name: Str<'a, 64>,
///     }
/// }
/// ```
#[macro_export]
macro_rules! trace_event {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(<$life:lifetime>)? = $full:literal $(as $format:literal)? {
            $($(#[$field_meta:meta])* $field:ident: $ty:ty),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(::core::clone::Clone, ::core::marker::Copy)]
        $vis struct $name $(<$life>)? {
            $($(#[$field_meta])* $vis $field: $ty,)+
        }

        #[allow(dead_code)]
        impl $(<$life>)? $name $(<$life>)? {
            /// Passes the record to all who listen.
            #[inline(always)]
            $vis fn emit<At: $crate::Place>(&self, cx: &$crate::Context<'_, At>) {
                $crate::event::Event::emit(self, cx)
            }

            /// Returns whether anybody listens.
            #[inline(always)]
            $vis fn is_enabled() -> bool {
                <Self as $crate::event::Record>::event().is_enabled()
            }

            /// Has a probe enabled while somebody listens.
            $vis fn arms<P: $crate::event::Arm, E: ::core::convert::From<::kernel::error::Error>>(
                probe: impl ::kernel::prelude::PinInit<P, E>,
            ) -> impl ::kernel::prelude::PinInit<$crate::event::Armed<P>, E> {
                $crate::event::Armed::by(<Self as $crate::event::Record>::event(), probe)
            }
        }

        const _: () = {
            #[repr(C)]
            struct Stored $(<$life>)? {
                entry: $crate::event::Entry,
                $($field: <$ty as $crate::event::Field>::Stored,)+
                life: ::core::marker::PhantomData<($(&$life ())?)>,
            }

            impl $(<$life>)? $name $(<$life>)? {
                const DESCRIBED: &'static [$crate::event::text::Described<'static>] = &[$(
                    $crate::event::text::Described::of::<$ty>(
                        ::core::concat!(::core::stringify!($field), "\0"),
                        ::core::mem::offset_of!(Stored, $field),
                    ),
                )+];
                const MAX_TAIL: usize = 0 $(+ <$ty as $crate::event::Field>::MAX_TAIL)+;
            }

            const FIELDS: usize = $name::DESCRIBED.len();
            const FORMAT: ::core::option::Option<&str> =
                $crate::trace_event!(@format $($format)?);
            const NAMES: ([u8; $full.len() + 1], usize) = $crate::event::text::names($full);
            const LINE: $crate::event::text::Text<512> =
                $crate::event::text::line($name::DESCRIBED, FORMAT);
            const PRINT: $crate::event::text::Text<2048> =
                $crate::event::text::print_fmt($name::DESCRIBED, &LINE.bytes);
            $crate::event::check_size(::core::mem::size_of::<Stored>(), $name::MAX_TAIL);

            static PRINT_FMT: $crate::event::Table<[u8; PRINT.len + 1]> =
                $crate::event::Table::new(PRINT.exact());
            static C_FIELDS: $crate::event::Table<[$crate::event::CField; FIELDS + 1]> =
                $crate::event::Table::new($crate::event::fields($name::DESCRIBED));
            static SHOWS: [$crate::event::CShow; FIELDS] =
                $crate::event::shows($name::DESCRIBED);
            static C_LINE: [u8; LINE.len + 1] = LINE.exact();
            static C_NAMES: [u8; $full.len() + 1] = NAMES.0;

            // SAFETY: This is the static itself; the others are what the functions above make for
            // it.
            static EVENT: $crate::event::Event = unsafe {
                $crate::event::Event::new(
                    &raw const EVENT, &C_NAMES, NAMES.1, &PRINT_FMT, &C_LINE, &C_FIELDS, &SHOWS,
                )
            };

            // The kernel finds the module's events in this section.
            #[link_section = "_ftrace_events"]
            #[used(compiler)]
            static LISTED: $crate::event::Listed = $crate::event::Listed(&EVENT);

            // SAFETY: `EVENT` describes `Stored`.
            unsafe impl $(<$life>)? $crate::event::Record for $name $(<$life>)? {
                #[inline(always)]
                fn event() -> &'static $crate::event::Event {
                    &EVENT
                }
            }

            // SAFETY: `store` writes all fields of `Stored`.
            unsafe impl $(<$life>)? $crate::event::Stored for $name $(<$life>)? {
                const SIZE: usize = ::core::mem::size_of::<Stored>();
                const MAX_TAIL: usize = $name::MAX_TAIL;
                const PADDED: bool = $crate::event::padded(
                    $name::DESCRIBED,
                    ::core::mem::size_of::<Stored>(),
                );

                #[inline(always)]
                fn tail(&self) -> usize {
                    0 $(+ $crate::event::Field::tail(self.$field))+
                }

                #[inline(always)]
                unsafe fn store(&self, to: *mut u8) {
                    let mut at = <Self as $crate::event::Stored>::SIZE;
                    $(
                        // SAFETY: By the safety requirements, there is room for all fields of
                        // `Stored`, and for their tails from `SIZE` on, one after the other.
                        unsafe {
                            $crate::event::store_field(
                                self.$field,
                                to.add(::core::mem::offset_of!(Stored, $field)),
                                to,
                                &mut at,
                            );
                        }
                    )+
                    let _ = at;
                }
            }
        };
    };

    (@format) => { ::core::option::Option::None };
    (@format $format:literal) => { ::core::option::Option::Some($format) };
}

#[doc(hidden)]
pub type CField = bindings::kprobes_event_field;
#[doc(hidden)]
pub type CShow = bindings::kprobes_event_show;

/// Writes a field of a record, which may be aligned less than its type.
///
/// # Safety
///
/// That of [`Field::store`], except that `to` need not be aligned.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn store_field<F: Field>(field: F, to: *mut u8, record: *mut u8, at: &mut usize) {
    let mut stored = MaybeUninit::<F::Stored>::uninit();
    // SAFETY: `stored` is valid for writing; the rest by the safety requirements.
    unsafe { field.store(stored.as_mut_ptr(), record, at) };
    // SAFETY: By the safety requirements, `to` is valid for writing.
    unsafe { to.cast::<MaybeUninit<F::Stored>>().write_unaligned(stored) };
}
