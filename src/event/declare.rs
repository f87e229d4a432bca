// SPDX-License-Identifier: GPL-2.0

//! What [`trace_event!`](crate::trace_event) makes of a declaration.

use super::{
    field::Field,
    Entry,
    Event, //
};
use crate::bindings;
use core::{
    cell::UnsafeCell,
    mem::{
        offset_of,
        MaybeUninit, //
    },
    ptr, //
};
use kernel::prelude::*;

pub use super::text::{
    line,
    names,
    print_fmt,
    Described,
    Text, //
};

/// The largest record, with the longest strings.
const MAX_SIZE: usize = 2048;

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
                const DESCRIBED: &'static [$crate::event::declare::Described<'static>] = &[$(
                    $crate::event::declare::Described::of::<$ty>(
                        ::core::concat!(::core::stringify!($field), "\0"),
                        ::core::mem::offset_of!(Stored, $field),
                    ),
                )+];
                const MAX_TAIL: usize = 0 $(+ <$ty as $crate::event::Field>::MAX_TAIL)+;
            }

            const FIELDS: usize = $name::DESCRIBED.len();
            const FORMAT: ::core::option::Option<&str> =
                $crate::trace_event!(@format $($format)?);
            const NAMES: ([u8; $full.len() + 1], usize) = $crate::event::declare::names($full);
            const LINE: $crate::event::declare::Text<512> =
                $crate::event::declare::line($name::DESCRIBED, FORMAT);
            const PRINT: $crate::event::declare::Text<2048> =
                $crate::event::declare::print_fmt($name::DESCRIBED, &LINE.bytes);
            $crate::event::declare::check_size(::core::mem::size_of::<Stored>(), $name::MAX_TAIL);

            static PRINT_FMT: $crate::event::declare::Table<[u8; PRINT.len + 1]> =
                $crate::event::declare::Table::new(PRINT.exact());
            static C_FIELDS: $crate::event::declare::Table<[$crate::event::declare::CField; FIELDS + 1]> =
                $crate::event::declare::Table::new($crate::event::declare::fields($name::DESCRIBED));
            static SHOWS: [$crate::event::declare::CShow; FIELDS] =
                $crate::event::declare::shows($name::DESCRIBED);
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
            static LISTED: $crate::event::declare::Listed = $crate::event::declare::Listed(&EVENT);

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
                const PADDED: bool = $crate::event::declare::padded(
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
                            $crate::event::declare::store_field(
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

/// Checks that the largest record fits.
#[doc(hidden)]
#[inline]
pub const fn check_size(size: usize, max_tail: usize) {
    assert!(
        size + max_tail <= MAX_SIZE,
        "trace_event!: a record is at most 2048 bytes large"
    );
}

/// An entry of the section in which the kernel looks for the module's events.
#[doc(hidden)]
#[repr(transparent)]
pub struct Listed(pub &'static Event);

/// The fields for the kernel's `struct trace_event_fields`, and an empty one at the
/// end.
#[doc(hidden)]
pub const fn fields<const LEN: usize>(
    described: &[Described<'_>],
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
        fields[n] = described[n].c_field();
        n += 1;
    }
    fields
}

/// How C prints the fields.
#[doc(hidden)]
pub const fn shows<const LEN: usize>(
    described: &[Described<'_>],
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
        shows[n] = described[n].c_show(0);
        n += 1;
    }
    shows
}

/// Whether a record has bytes that belong to no field.
#[doc(hidden)]
pub const fn padded(described: &[Described<'_>], size: usize) -> bool {
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
}
