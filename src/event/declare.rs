// SPDX-License-Identifier: GPL-2.0

//! What [`trace_event!`](crate::trace_event) makes of a declaration.

pub use super::fields::Declared;
use super::{
    field::Kind,
    fields::{
        self,
        Fields,
        MAX_SIZE, //
    },
    format,
    Event, //
};
use crate::common::*;

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
/// For the types see [`Field`](crate::event::Field). `FORMAT` is what a record is printed as, with
/// the names of fields in braces; without it that is `FIELD={FIELD}` for each field. A letter or
/// digit cannot follow a pointer in it. The struct and its fields can have the attributes `doc`,
/// `allow` and `expect`.
///
/// The compiler refuses more than these: a record of 2,048 bytes, with its longest strings; names
/// of 255 characters, `SYSTEM:EVENT` being one; a format of 8,191, where a field counts as two; 63
/// fields in the format, of the first 255. More than some 120 fields take a larger
/// `recursion_limit` of the crate. A printed line of more than some 7,000 characters is cut, and
/// ends with `...`.
///
/// The record has the methods `emit(&self, cx)`, which passes it to all listeners; `is_enabled()`,
/// which returns whether there is a listener; and `arms(probe)`, which makes an
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
// The types of the fields are the user's tokens. They stand where `Self` is the record and where no
// item of the macro's is in scope: in the struct, and in `Declared::Fields`. What is `unsafe` is in
// the block below, which has none of the user's tokens but the record's name.
#[macro_export]
macro_rules! trace_event {
    (
        $(#[$attribute:ident $($arguments:tt)*])*
        $vis:vis struct $name:ident $(<$life:lifetime>)? = $full:literal $(as $format:literal)? {
            $($(#[$field_attribute:ident $($field_arguments:tt)*])* $field:ident: $ty:ty),+ $(,)?
        }
    ) => {
        $($crate::__attribute!($attribute);)*
        $($($crate::__attribute!($field_attribute);)*)+

        $(#[$attribute $($arguments)*])*
        #[derive($crate::macro_paths::core::clone::Clone, $crate::macro_paths::core::marker::Copy)]
        $vis struct $name $(<$life>)? {
            $($(#[$field_attribute $($field_arguments)*])* $vis $field: $ty,)+
        }

        #[allow(dead_code)]
        impl $(<$life>)? $name $(<$life>)? {
            /// Passes the record to all listeners.
            #[inline(always)]
            $vis fn emit<At: $crate::Place>(&self, cx: &$crate::Context<'_, At>) {
                $crate::event::Event::emit(*self, cx)
            }

            /// Returns whether there is a listener.
            #[inline(always)]
            $vis fn is_enabled() -> $crate::macro_paths::bool {
                $crate::event::Event::is_enabled(<Self as $crate::event::Record>::event())
            }

            /// Has a probe enabled while there is a listener.
            $vis fn arms<
                P: $crate::probe::Arm,
                E: $crate::macro_paths::core::convert::From<
                    $crate::macro_paths::kernel::error::Error,
                >,
            >(
                probe: impl $crate::macro_paths::kernel::prelude::PinInit<P, E>,
            ) -> impl $crate::macro_paths::kernel::prelude::PinInit<$crate::event::Armed<P>, E> {
                $crate::event::Armed::new(<Self as $crate::event::Record>::event(), probe)
            }
        }

        impl $(<$life>)? $crate::event::declare::Declared for $name $(<$life>)? {
            type Fields = $crate::trace_event!(@types $($ty,)+);
            const NAME: &'static $crate::macro_paths::str = $full;
            const NAMES: &'static [&'static $crate::macro_paths::str] = &[$(
                $crate::macro_paths::core::concat!(
                    $crate::macro_paths::core::stringify!($field),
                    "\0"
                ),
            )+];
            const FORMAT: $crate::macro_paths::core::option::Option<
                &'static $crate::macro_paths::str,
            > =
                $crate::trace_event!(@format $($format)?);

            #[inline(always)]
            fn fields(self) -> Self::Fields {
                let record = self;
                $crate::trace_event!(@values record $($field,)+)
            }
        }

        const _: () = {
            static TABLES: $crate::event::declare::Tables<
                { $crate::trace_event!(@len 0 $name $($life)?) },
                { $crate::trace_event!(@len 1 $name $($life)?) },
                { $crate::trace_event!(@len 2 $name $($life)?) },
                { $crate::trace_event!(@len 3 $name $($life)?) },
            > = $crate::event::declare::Tables::of::<$crate::trace_event!(@name $name $($life)?)>();

            // SAFETY: `EVENT` is the static that this initialises, and is the event of no other
            // record.
            static EVENT: $crate::event::Event =
                unsafe { $crate::event::Event::new(&raw const EVENT, &TABLES) };

            // The kernel finds the module's events in this section.
            #[link_section = "_ftrace_events"]
            #[used(compiler)]
            static LISTED: $crate::event::declare::Listed =
                $crate::event::declare::Listed(&EVENT);

            // SAFETY: `EVENT` has the tables of this record.
            unsafe impl $(<$life>)? $crate::event::Record for $name $(<$life>)? {
                #[inline(always)]
                fn event() -> &'static $crate::event::Event {
                    &EVENT
                }
            }
        };
    };

    (@types) => { () };
    (@types $first:ty, $($others:ty,)*) => { ($first, $crate::trace_event!(@types $($others,)*)) };

    (@values $record:ident) => { () };
    (@values $record:ident $first:ident, $($others:ident,)*) => {
        ($record.$first, $crate::trace_event!(@values $record $($others,)*))
    };

    (@name $name:ident) => { $name };
    (@name $name:ident $life:lifetime) => { $name<'static> };

    (@len $n:literal $($name:tt)*) => {
        $crate::event::declare::lens::<$crate::trace_event!(@name $($name)*)>()[$n]
    };

    (@format) => { $crate::macro_paths::core::option::Option::None };
    (@format $format:literal) => { $crate::macro_paths::core::option::Option::Some($format) };
}

/// The lengths of [`Tables`]. That of the fields is one more than there are.
pub const fn lens<D: Declared>() -> [usize; 4] {
    [
        format::names::<D>().0.len + 1,
        format::line::<D>().len + 1,
        format::print_fmt::<D>().len + 1,
        D::Fields::COUNT + 1,
    ]
}

/// The names, the fields and the print formats of an event, in a static. The kernel writes to some
/// of them.
///
/// # Invariants
///
/// It is what [`Tables::of`] has made for a declaration.
pub struct Tables<const NAMES: usize, const LINE: usize, const PRINT: usize, const FIELDS: usize> {
    /// Two C strings.
    names: [u8; NAMES],
    /// Where the second of them begins.
    name: usize,
    line: [u8; LINE],
    print_fmt: UnsafeCell<[u8; PRINT]>,
    fields: UnsafeCell<[bindings::kprobes_event_field; FIELDS]>,
    shows: [bindings::kprobes_event_show; FIELDS],
}

// SAFETY: Only the kernel uses what can change, with its own locks.
unsafe impl<const NAMES: usize, const LINE: usize, const PRINT: usize, const FIELDS: usize> Sync
    for Tables<NAMES, LINE, PRINT, FIELDS>
{
}

impl<const NAMES: usize, const LINE: usize, const PRINT: usize, const FIELDS: usize>
    Tables<NAMES, LINE, PRINT, FIELDS>
{
    /// Makes the tables for a declaration. Others than its [`lens`] do not compile.
    pub const fn of<D: Declared>() -> Self {
        let list = D::Fields::LIST;
        assert!(D::NAMES.len() == D::Fields::COUNT && FIELDS == D::NAMES.len() + 1);
        // The sum could overflow, which nothing checks in a function.
        assert!(
            D::Fields::SIZE <= MAX_SIZE && D::Fields::MAX_TAIL <= MAX_SIZE - D::Fields::SIZE,
            "trace_event!: a record must not exceed 2048 bytes"
        );
        // The empty one marks the end.
        //
        // SAFETY: All zeroes is a valid value: it consists of integers and nullable pointers.
        let mut all: [bindings::kprobes_event_field; FIELDS] =
            unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: As above.
        let mut shows: [bindings::kprobes_event_show; FIELDS] =
            unsafe { MaybeUninit::zeroed().assume_init() };
        let mut n = 0;
        while n < D::NAMES.len() {
            format::check_field_name(D::NAMES[n]);
            let (field, offset) = fields::nth(list, n);
            all[n].type_ = field.ty.as_ptr().cast();
            all[n].name = D::NAMES[n].as_ptr().cast();
            all[n].size = (field.size * field.count) as c_int;
            all[n].align = field.align as c_int;
            all[n].is_signed = field.signed as c_uint;
            // FILTER_OTHER, which is 0: the kernel looks at the type.
            if matches!(field.kind, Kind::Array | Kind::Chars) {
                all[n].len = field.count as c_int;
            }
            shows[n] = bindings::kprobes_event_show {
                kind: field.kind as u8,
                size: field.size as u8,
                offset: offset as u16,
                count: field.count as u16,
            };
            n += 1;
        }
        let (names, name) = format::names::<D>();
        // INVARIANT: This is `of`.
        Self {
            names: names.exact(),
            name,
            line: format::line::<D>().exact(),
            print_fmt: UnsafeCell::new(format::print_fmt::<D>().exact()),
            fields: UnsafeCell::new(all),
            shows,
        }
    }
}

/// An entry of the section in which the kernel looks for the module's events.
#[repr(transparent)]
pub struct Listed(pub &'static Event);

impl Event {
    /// # Safety
    ///
    /// `this` must be the static that is initialised with the result, and the event of the record
    /// that `tables` were made for, and of no other.
    #[doc(hidden)]
    pub const unsafe fn new<
        const NAMES: usize,
        const LINE: usize,
        const PRINT: usize,
        const FIELDS: usize,
    >(
        this: *const Self,
        tables: &'static Tables<NAMES, LINE, PRINT, FIELDS>,
    ) -> Self {
        let this: *mut u8 = this.cast_mut().cast();
        // SAFETY: All zeroes is a valid value: it consists of integers and nullable pointers.
        let mut event: bindings::kprobes_event = unsafe { MaybeUninit::zeroed().assume_init() };
        event.system = tables.names.as_ptr().cast();
        event.name = tables.names.split_at(tables.name).1.as_ptr().cast();
        event.print_fmt = tables.print_fmt.get().cast();
        event.line = tables.line.as_ptr();
        event.fields = tables.fields.get().cast();
        event.shows = tables.shows.as_ptr();
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
