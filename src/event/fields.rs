// SPDX-License-Identifier: GPL-2.0

//! The list of a record's fields, `(A, (B, ()))`, and their layout.
//!
//! [`trace_event!`](crate::trace_event) names the type of each field once, in this list. The layout
//! of a record, its description for the kernel, and the writes to the buffer come from the list.

use super::field::{
    Field,
    Kind, //
};
use crate::bindings;

/// The header of each record.
pub(super) type Entry = bindings::trace_entry;

/// The largest size of a record, with its longest strings.
pub(super) const MAX_SIZE: usize = 2048;

/// A declaration of [`trace_event!`](crate::trace_event).
///
/// The library computes the event and the records from these items. The compiler evaluates each
/// item once, so both agree, and the trait is safe to implement.
pub trait Declared: Copy {
    /// The types of the fields.
    type Fields: Fields;
    /// `SYSTEM:EVENT`.
    const NAME: &'static str;
    /// The names of the fields, each with a NUL at its end.
    const NAMES: &'static [&'static str];
    /// The print format.
    const FORMAT: Option<&'static str>;

    /// Returns the values of the fields.
    fn fields(self) -> Self::Fields;
}

/// The fields of a record: `(A, (B, ()))`.
///
/// # Safety
///
/// `LIST` must describe what `store` writes. `tail()` must be the sum of the tails of the fields.
pub unsafe trait Fields: Copy {
    #[doc(hidden)]
    const LIST: List;
    #[doc(hidden)]
    const COUNT: usize;
    /// The sum of the sizes of the fields.
    #[doc(hidden)]
    const SUM: usize;
    /// The largest `tail()`.
    #[doc(hidden)]
    const MAX_TAIL: usize;

    /// The size of a record without its tail.
    #[doc(hidden)]
    const SIZE: usize = size(Self::LIST);
    /// Whether the record has padding.
    #[doc(hidden)]
    const PADDED: bool = size_of::<Entry>() + Self::SUM != Self::SIZE;

    /// Returns the number of bytes that the fields have at the end of the record.
    #[doc(hidden)]
    fn tail(&self) -> usize;

    /// Writes the fields from `offset` on, and their tails from `at` on. Advances `at`.
    ///
    /// # Safety
    ///
    /// `record` must be valid for writing all of these bytes.
    #[doc(hidden)]
    unsafe fn store(&self, record: *mut u8, offset: usize, at: &mut usize);
}

// SAFETY: The list is empty, and `store` writes nothing.
unsafe impl Fields for () {
    const LIST: List = None;
    const COUNT: usize = 0;
    const SUM: usize = 0;
    const MAX_TAIL: usize = 0;

    #[inline(always)]
    fn tail(&self) -> usize {
        0
    }

    #[inline(always)]
    unsafe fn store(&self, _record: *mut u8, _offset: usize, _at: &mut usize) {}
}

// SAFETY: `store` writes the fields at the offsets that `nth` and `size` compute.
unsafe impl<F: Field, Others: Fields> Fields for (F, Others) {
    const LIST: List = Some(&Node {
        field: Description::of::<F>(),
        others: Others::LIST,
    });
    const COUNT: usize = 1 + Others::COUNT;
    const SUM: usize = F::SIZE * F::COUNT + Others::SUM;
    const MAX_TAIL: usize = F::MAX_TAIL + Others::MAX_TAIL;

    #[inline(always)]
    fn tail(&self) -> usize {
        self.0.tail() + self.1.tail()
    }

    #[inline(always)]
    unsafe fn store(&self, record: *mut u8, offset: usize, at: &mut usize) {
        let offset = offset.next_multiple_of(F::ALIGN);
        // SAFETY: By the safety requirements, `record` is valid for writing the field and its tail.
        unsafe { self.0.store(record.add(offset), record, at) };
        // SAFETY: By the safety requirements, `record` is valid for writing the other fields.
        unsafe { self.1.store(record, offset + F::SIZE * F::COUNT, at) };
    }
}

/// The list of the fields of a record.
pub(super) type List = Option<&'static Node>;

/// A field, and those after it.
pub struct Node {
    pub(super) field: Description,
    pub(super) others: List,
}

/// The description of a field for the kernel.
#[derive(Clone, Copy)]
pub(super) struct Description {
    pub(super) ty: &'static [u8],
    pub(super) kind: Kind,
    pub(super) signed: bool,
    pub(super) align: usize,
    pub(super) size: usize,
    pub(super) count: usize,
}

impl Description {
    const fn of<F: Field>() -> Self {
        assert!(F::COUNT > 0, "trace_event!: an empty array");
        // Prevents overflows in the functions below.
        assert!(
            F::COUNT <= MAX_SIZE,
            "trace_event!: a record must not exceed 2048 bytes"
        );
        Self {
            ty: F::TYPE,
            kind: F::KIND,
            signed: F::SIGNED,
            align: F::ALIGN,
            size: F::SIZE,
            count: F::COUNT,
        }
    }
}

/// Returns the `n`th field, from 0, and its offset.
#[inline]
pub(super) const fn nth(mut list: List, mut n: usize) -> (Description, usize) {
    let mut end = size_of::<Entry>();
    while let Some(Node { field, others }) = list {
        let offset = end.next_multiple_of(field.align);
        if n == 0 {
            return (*field, offset);
        }
        n -= 1;
        end = offset + field.size * field.count;
        list = *others;
    }
    panic!("trace_event!: no such field");
}

/// Returns the size of a record without its tail. As a C struct, it ends at a multiple of the
/// alignment of each field.
#[inline]
const fn size(mut list: List) -> usize {
    let (mut end, mut align) = (size_of::<Entry>(), align_of::<Entry>());
    while let Some(Node { field, others }) = list {
        end = end.next_multiple_of(field.align) + field.size * field.count;
        if field.align > align {
            align = field.align;
        }
        list = *others;
    }
    end.next_multiple_of(align)
}
