// SPDX-License-Identifier: GPL-2.0

//! The fields of a record as a list, and where each of them is in the buffer.
//!
//! [`trace_event!`](crate::trace_event) names the type of each field once, in such a list. The
//! layout of a record, its description for the kernel, and what is written come from that list.

use super::field::{
    Field,
    Kind, //
};
use crate::bindings;

/// What each record begins with: `struct trace_entry`.
pub(super) type Entry = bindings::trace_entry;

/// The largest record, with the longest strings.
pub(super) const MAX_SIZE: usize = 2048;

/// A declaration of [`trace_event!`](crate::trace_event).
///
/// The library computes from these items what it registers with the kernel, and what it writes into
/// a record. The compiler evaluates each item once, so the trait is safe to implement.
pub trait Declared: Copy {
    /// The types of the fields.
    type Fields: Fields;
    /// `SYSTEM:EVENT`.
    const NAME: &'static str;
    /// The names of the fields, each with a NUL at its end.
    const NAMES: &'static [&'static str];
    /// How a record is printed.
    const FORMAT: Option<&'static str>;

    /// Returns the values of the fields.
    fn fields(self) -> Self::Fields;
}

/// The fields of a record: `(A, (B, ()))`.
///
/// # Safety
///
/// `LIST` must describe what `store` writes. `tail()` must be the sum of those of the fields.
pub unsafe trait Fields: Copy {
    #[doc(hidden)]
    const LIST: List;
    #[doc(hidden)]
    const COUNT: usize;
    /// The sum of their sizes.
    #[doc(hidden)]
    const SUM: usize;
    /// The largest `tail()`.
    #[doc(hidden)]
    const MAX_TAIL: usize;

    /// The size of a record without its tail, as C has it.
    #[doc(hidden)]
    const SIZE: usize = size(Self::LIST);
    /// Whether some of these bytes belong to no field.
    #[doc(hidden)]
    const PADDED: bool = size_of::<Entry>() + Self::SUM != Self::SIZE;

    /// Returns how many bytes the fields have at the end of the record.
    #[doc(hidden)]
    fn tail(&self) -> usize;

    /// Writes the fields, the first of which begins at `offset` or after its padding, and their
    /// bytes at the end of the record from `at` on.
    ///
    /// # Safety
    ///
    /// `record` must be valid for writing all of that.
    #[doc(hidden)]
    unsafe fn store(&self, record: *mut u8, offset: usize, at: &mut usize);
}

// SAFETY: There is no field.
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

// SAFETY: `store` writes the first field where `size` and `offsets` have it, and then the others.
unsafe impl<F: Field, Others: Fields> Fields for (F, Others) {
    const LIST: List = Some(&Node {
        field: Described::of::<F>(),
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
        // SAFETY: By the safety requirements, `record` is valid for writing this field and its
        // tail.
        unsafe { self.0.store(record.add(offset), record, at) };
        // SAFETY: By the safety requirements, there is room for the others after it.
        unsafe { self.1.store(record, offset + F::SIZE * F::COUNT, at) };
    }
}

/// The list of the fields of a record.
pub(super) type List = Option<&'static Node>;

/// A field, and those after it.
pub struct Node {
    pub(super) field: Described,
    pub(super) others: List,
}

/// The description of a field for the kernel.
#[derive(Clone, Copy)]
pub(super) struct Described {
    pub(super) ty: &'static [u8],
    pub(super) kind: Kind,
    pub(super) signed: bool,
    pub(super) align: usize,
    pub(super) size: usize,
    pub(super) count: usize,
}

impl Described {
    const fn of<F: Field>() -> Self {
        assert!(F::COUNT > 0, "trace_event!: an empty array");
        // So the functions below do not overflow.
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
pub(super) const fn nth(mut list: List, mut n: usize) -> (Described, usize) {
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
