// SPDX-License-Identifier: GPL-2.0

//! The macro [`trace_event!`](crate::trace_event), and the statics that it declares.

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

/// Declares a record type and its trace event.
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
/// [`Field`](crate::event::Field) lists the types. `FORMAT` is the print format, with the names of
/// fields in braces. The default is `FIELD={FIELD}` for each field. No letter or digit can follow a
/// pointer. The struct and its fields can have the attributes `doc`, `allow` and `expect`.
///
/// The compiler checks these limits: 2,048 bytes for a record with its longest strings; 255
/// characters for the name of a field and for `SYSTEM:EVENT`; 8,191 characters for a format, in
/// which a field counts as two; 63 fields in a format, all among the first 255. With more than
/// about 120 fields, the crate needs a larger `recursion_limit`. Printed lines are truncated after
/// about 7,000 characters, and then end with `...`.
///
/// Methods of the record: `emit(&self, cx)` passes it to all listeners; `is_enabled()` returns
/// whether the event has a listener; `arms(probe)` creates an [`Armed`](crate::event::Armed).
///
/// # Examples
///
/// ```
/// use kprobes::event::{Errno, Hex, Str};
///
/// kprobes::trace_event! {
///     /// A program has opened a file, or failed to open it.
///     pub struct Opened<'a> = "my_module:opened" as "{name}: {result}" {
///         result: Errno,
///         flags: Hex<u64>,
///         name: Str<'a, 64>,
///     }
/// }
/// ```
// Hygiene: the field types are tokens of the user. The macro uses them only where `Self` is the
// record and no item of the macro is in scope: in the struct and in `Declared::Fields`. The only
// token of the user in the block `const _`, which has all `unsafe` code, is the record's name.
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

            /// Returns whether the event has a listener.
            #[inline(always)]
            $vis fn is_enabled() -> $crate::macro_paths::bool {
                $crate::event::Event::is_enabled(<Self as $crate::event::Record>::event())
            }

            /// Creates a probe that is enabled while the event has a listener.
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

            // SAFETY: This initialises the static `EVENT`, the event of this record only.
            static EVENT: $crate::event::Event =
                unsafe { $crate::event::Event::new(&raw const EVENT, &TABLES) };

            // The module loader reads this section.
            #[link_section = "_ftrace_events"]
            #[used(compiler)]
            static EVENT_PTR: $crate::event::declare::EventPtr =
                $crate::event::declare::EventPtr(&EVENT);

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
        $crate::event::declare::lengths::<$crate::trace_event!(@name $($name)*)>()[$n]
    };

    (@format) => { $crate::macro_paths::core::option::Option::None };
    (@format $format:literal) => { $crate::macro_paths::core::option::Option::Some($format) };
}

/// Returns the const arguments of [`Tables`]. The array of fields ends with an empty one.
pub const fn lengths<D: Declared>() -> [usize; 4] {
    [
        format::names::<D>().0.len + 1,
        format::line::<D>().len + 1,
        format::print_fmt::<D>().len + 1,
        D::Fields::COUNT + 1,
    ]
}

/// The names, fields and print formats of an event, in a static. The kernel writes to those in an
/// `UnsafeCell`.
///
/// # Invariants
///
/// The value is from [`Tables::of`].
pub struct Tables<const NAMES: usize, const LINE: usize, const PRINT: usize, const FIELDS: usize> {
    /// The system and the name of the event, as C strings.
    names: [u8; NAMES],
    /// The offset of the event's name in `names`.
    name: usize,
    line: [u8; LINE],
    print_fmt: UnsafeCell<[u8; PRINT]>,
    fields: UnsafeCell<[bindings::kprobes_event_field; FIELDS]>,
    shows: [bindings::kprobes_event_show; FIELDS],
}

// SAFETY: Only the kernel accesses the contents of the `UnsafeCell`s, with its own locks.
unsafe impl<const NAMES: usize, const LINE: usize, const PRINT: usize, const FIELDS: usize> Sync
    for Tables<NAMES, LINE, PRINT, FIELDS>
{
}

impl<const NAMES: usize, const LINE: usize, const PRINT: usize, const FIELDS: usize>
    Tables<NAMES, LINE, PRINT, FIELDS>
{
    /// Creates the tables of a declaration. Compiles only with the [`lengths`] of `D`.
    pub const fn of<D: Declared>() -> Self {
        let list = D::Fields::LIST;
        assert!(D::NAMES.len() == D::Fields::COUNT && FIELDS == D::NAMES.len() + 1);
        // The sum itself could overflow.
        assert!(
            D::Fields::SIZE <= MAX_SIZE && D::Fields::MAX_TAIL <= MAX_SIZE - D::Fields::SIZE,
            "trace_event!: a record must not exceed 2048 bytes"
        );
        // The last one stays empty.
        //
        // SAFETY: The struct has integers and nullable pointers, so zeroes are a valid value.
        let mut all: [bindings::kprobes_event_field; FIELDS] =
            unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: The struct has integers, so zeroes are a valid value.
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
            // `filter_type` stays 0 (`FILTER_OTHER`): the kernel derives it from the type.
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
        // INVARIANT: This function is `of`.
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

/// An element of the section `_ftrace_events`, in which the kernel finds the module's events.
#[repr(transparent)]
pub struct EventPtr(pub &'static Event);

impl Event {
    /// # Safety
    ///
    /// `this` must be the static that the result initialises, and the event of one record only.
    /// `tables` must be those of that record.
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
        // SAFETY: The struct has integers and nullable pointers, so zeroes are a valid value.
        let mut event: bindings::kprobes_event = unsafe { MaybeUninit::zeroed().assume_init() };
        event.system = tables.names.as_ptr().cast();
        event.name = tables.names.split_at(tables.name).1.as_ptr().cast();
        event.print_fmt = tables.print_fmt.get().cast();
        event.line = tables.line.as_ptr();
        event.fields = tables.fields.get().cast();
        event.shows = tables.shows.as_ptr();
        // The kernel reads these before it calls `raw_init`, which sets the rest.
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
