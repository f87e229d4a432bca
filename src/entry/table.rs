// SPDX-License-Identifier: GPL-2.0

//! From the address of a function's ftrace call to the probes there.
//!
//! An open-addressed table that is at most an eighth full, so most functions have the place in
//! which they are looked for first. It is read without a lock: a place that is taken keeps its
//! function, and only a list of probes begins there. A table that has become too small stays valid
//! until its readers have been waited for.

use super::record::Record;
use crate::common::*;

/// A function, and the first of its probes.
#[repr(C)]
pub(super) struct Place {
    /// 0 if it is free.
    ip: AtomicUsize,
    first: AtomicPtr<Record>,
}

impl Place {
    #[inline]
    const fn free() -> Self {
        Self {
            ip: AtomicUsize::new(0),
            first: AtomicPtr::new(ptr::null_mut()),
        }
    }

    #[inline]
    pub(super) fn ip(&self) -> usize {
        self.ip.load(Ordering::Relaxed)
    }

    /// Returns the first probe of a function, if this is its place.
    #[inline(always)]
    pub(super) fn of(&self, ip: usize) -> Option<*const Record> {
        (self.ip.load(Ordering::Acquire) == ip)
            .then(|| self.first.load(Ordering::Acquire).cast_const())
    }

    /// Iterates over the probes.
    ///
    /// # Safety
    ///
    /// The caller holds the lock as long as it uses them.
    #[inline]
    pub(super) unsafe fn probes<'a>(&self) -> impl Iterator<Item = &'a Record> {
        let mut at = self.first.load(Ordering::Relaxed);
        core::iter::from_fn(move || {
            // SAFETY: Under the lock, what is linked is valid.
            let probe = unsafe { at.as_ref() }.filter(|probe| !probe.is_sentinel())?;
            at = probe.next.load(Ordering::Relaxed);
            Some(probe)
        })
    }
}

/// What a table begins with. The places follow.
///
/// # Invariants
///
/// A table is an allocation of `capacity` times the size of a [`Place`], of which this takes the
/// first `HEADER`. How many follow is a power of two, and `SPARE`, which are never taken. One that
/// is taken leads to `sentinel`, or to a list of probes that ends with null.
#[repr(C)]
pub(super) struct Table {
    /// The offset of the last place, in bytes.
    mask: u32,
    /// How many places are taken. Under the lock.
    taken: u32,
    /// The table that this one has replaced, which may still be read. Under the lock.
    pub(super) before: *mut Table,
    capacity: usize,
    /// Is found where there is no other probe, which saves the question.
    sentinel: Record,
}

const HEADER: usize = size_of::<Table>().div_ceil(size_of::<Place>());
/// How many free places follow the last one.
const SPARE: usize = 3;
/// The offset of a place fits into the mask.
const MOST: usize = 1 << 24;
const _: () = assert!(align_of::<Place>() >= align_of::<Table>());

impl Table {
    #[inline]
    pub(super) fn new(functions: usize) -> Result<*mut Self> {
        let places = (8 * functions).next_power_of_two().max(16);
        if places > MOST {
            return Err(ENOMEM);
        }
        let needed = HEADER + places + SPARE;
        let mut all = KVVec::with_capacity(needed, GFP_KERNEL)?;
        for _ in 0..needed {
            all.push(Place::free(), GFP_KERNEL)?;
        }
        let (start, _, capacity) = all.into_raw_parts();
        let table: *mut Self = start.cast();
        // SAFETY: `HEADER` places are as large as a header, and as aligned. `sentinel` is never
        // enabled, so its handler is not used.
        unsafe {
            table.write(Self {
                mask: ((places - 1) * size_of::<Place>()) as u32,
                taken: 0,
                before: ptr::null_mut(),
                capacity,
                sentinel: Record::sentinel(),
            });
        }
        // INVARIANT: The allocation is as required, and no place is taken yet.
        Ok(table)
    }

    /// Frees a table, and those that it has replaced.
    ///
    /// # Safety
    ///
    /// It must be null, or come from [`Table::new`], and no reader have it or those.
    #[inline]
    #[link_section = ".kprobes.text"]
    pub(super) unsafe fn free(mut table: *mut Self) {
        while !table.is_null() {
            // SAFETY: By the safety requirements, it is valid.
            let (before, capacity) = unsafe { ((*table).before, (*table).capacity) };
            // SAFETY: It was allocated as a vector of that capacity. Nothing in it has a
            // destructor, so none is said to be in use.
            drop(unsafe { KVVec::<Place>::from_raw_parts(table.cast(), 0, capacity) });
            table = before;
        }
    }

    /// Returns the place at an offset in bytes.
    ///
    /// # Safety
    ///
    /// `table` must be valid, and `at` come from `mask`.
    #[inline(always)]
    unsafe fn place(table: *const Self, at: u32) -> *const Place {
        // SAFETY: By the type invariant and the safety requirements, there is a place.
        unsafe { table.cast::<Place>().add(HEADER).byte_add(at as usize) }
    }

    /// Where to look first, before the mask. The constant is that of `hash_32()`. It is odd, so the
    /// low bits of two products differ if those of the addresses do, and neighbours come far from
    /// each other.
    #[inline(always)]
    const fn hash(ip: usize) -> u32 {
        (ip as u32).wrapping_mul(0x61c8_8647)
    }

    /// Returns the first place in which to look for a function.
    ///
    /// # Safety
    ///
    /// `table` must be valid.
    #[inline(always)]
    pub(super) unsafe fn first_place(table: *const Self, ip: usize) -> *const Place {
        // SAFETY: By the safety requirements, it is valid, and this is within the mask.
        unsafe { Self::place(table, Self::hash(ip) & (*table).mask) }
    }

    /// Returns the first probe of a function, if it has one of the next places after `first`, which
    /// is the first one in which to look.
    ///
    /// # Safety
    ///
    /// `first` must come from [`Table::first_place`]. The table and the probe are valid until the
    /// caller has been waited for.
    #[inline(always)]
    pub(super) unsafe fn find_nearby(first: *const Place, ip: usize) -> Option<*const Record> {
        for n in 1..=SPARE {
            // SAFETY: By the type invariant of the table, `SPARE` places follow the last one.
            let place = unsafe { &*first.add(n) };
            if let Some(probe) = place.of(ip) {
                return Some(probe);
            }
        }
        None
    }

    /// Returns the place of a function, or the free one that it may take.
    ///
    /// # Safety
    ///
    /// `table` must be valid for `'a`.
    #[inline(always)]
    unsafe fn look_up<'a>(table: *const Self, ip: usize) -> &'a Place {
        // SAFETY: By the safety requirements, it is valid.
        let mask = unsafe { (*table).mask };
        let mut at = Self::hash(ip) & mask;
        loop {
            // SAFETY: `at` is within the mask.
            let place = unsafe { &*Self::place(table, at) };
            let here = place.ip();
            if here == ip || here == 0 {
                return place;
            }
            at = (at + size_of::<Place>() as u32) & mask;
        }
    }

    /// Returns the first probe of a function, or one that does nothing.
    ///
    /// # Safety
    ///
    /// `table` must be valid. The probe is, until the caller has been waited for.
    // The callback calls it outside of the guard against recursion.
    #[inline]
    #[link_section = ".kprobes.text"]
    pub(super) unsafe fn find(table: *const Self, ip: usize) -> *const Record {
        // SAFETY: By the safety requirements.
        let place = unsafe { Self::look_up(table, ip) };
        // SAFETY: This only computes the address of a field.
        let sentinel = unsafe { &raw const (*table).sentinel };
        place.of(ip).unwrap_or(sentinel)
    }

    /// Returns the place of a function, which it takes if there is none yet.
    ///
    /// # Safety
    ///
    /// `table` must be valid for `'a` and have room. The caller holds the lock.
    #[inline]
    #[link_section = ".kprobes.text"]
    pub(super) unsafe fn take<'a>(table: *mut Self, ip: usize) -> &'a Place {
        // SAFETY: By the safety requirements.
        let place = unsafe { Self::look_up(table, ip) };
        if place.ip() == 0 {
            // SAFETY: By the safety requirements, the header is ours to write.
            let (sentinel, taken) = unsafe { (&raw mut (*table).sentinel, &mut (*table).taken) };
            place.first.store(sentinel, Ordering::Relaxed);
            *taken += 1;
            place.ip.store(ip, Ordering::Release);
        }
        place
    }

    /// Puts `probe` before the others of its function.
    ///
    /// # Safety
    ///
    /// `table` must be valid and have room. The caller holds the lock. `probe` must stay valid
    /// until it is unlinked and the callbacks have been waited for.
    #[inline]
    pub(super) unsafe fn link(table: *mut Self, probe: *const Record) {
        // SAFETY: By the safety requirements.
        let (place, probe) = unsafe { (Self::take(table, (*probe).ip()), &*probe) };
        // SAFETY: We hold the lock.
        let next = unsafe { place.probes().next() }.map_or(ptr::null(), ptr::from_ref);
        probe.next.store(next.cast_mut(), Ordering::Relaxed);
        let probe = ptr::from_ref(probe).cast_mut();
        place.first.store(probe, Ordering::Release);
    }

    /// Takes `probe` out. It still leads to the next one, so that concurrent readers can continue.
    ///
    /// # Safety
    ///
    /// `table` must be valid, and `probe` be linked in it. The caller holds the lock.
    #[inline]
    #[link_section = ".kprobes.text"]
    pub(super) unsafe fn unlink(table: *mut Self, probe: &Record) {
        // SAFETY: By the safety requirements; the place is taken already.
        let place = unsafe { Self::take(table, probe.ip()) };
        let mut at = &place.first;
        let mut before: Option<&Record> = None;
        loop {
            let here = at.load(Ordering::Relaxed);
            // SAFETY: By the safety requirements, `probe` is on the list, so `here` is a probe that
            // is linked, and so valid.
            let next = unsafe { &(*here).next };
            if ptr::eq(here, probe) {
                let mut next = next.load(Ordering::Relaxed);
                if next.is_null() && ptr::eq(at, &place.first) {
                    // SAFETY: This only computes the address of a field.
                    next = unsafe { &raw mut (*table).sentinel };
                }
                at.store(next, Ordering::Release);
                // It may have become the last one.
                if let Some(before) = before.filter(|before| before.is_enabled()) {
                    before.arm();
                }
                return;
            }
            // SAFETY: `here` is linked, and so valid.
            before = Some(unsafe { &*here });
            at = next;
        }
    }

    /// Whether `more` functions fit in.
    ///
    /// # Safety
    ///
    /// `table` must be valid or null. The caller holds the lock.
    #[inline]
    pub(super) unsafe fn has_room(table: *const Self, more: usize) -> bool {
        // SAFETY: By the safety requirements.
        unsafe { table.as_ref() }.is_some_and(|table| {
            8 * (table.taken as usize + more) <= table.mask as usize / size_of::<Place>() + 1
        })
    }

    /// Iterates over the places that are taken.
    ///
    /// # Safety
    ///
    /// `table` must be valid or null as long as the caller holds the lock.
    #[inline]
    pub(super) unsafe fn taken<'a>(table: *const Self) -> impl Iterator<Item = &'a Place> {
        let size = size_of::<Place>() as u32;
        // SAFETY: By the safety requirements.
        let places = unsafe { table.as_ref() }.map_or(0, |table| table.mask / size + 1);
        let mut next = 0;
        core::iter::from_fn(move || {
            while next < places {
                // SAFETY: The offset is within the mask of a table that is valid.
                let place = unsafe { &*Self::place(table, next * size) };
                next += 1;
                if place.ip() != 0 {
                    return Some(place);
                }
            }
            None
        })
    }

    /// Takes over the probes of `before`, which `table` replaces.
    ///
    /// # Safety
    ///
    /// `table` must be new and large enough, `before` valid or null. The caller holds the lock.
    #[inline]
    pub(super) unsafe fn replace(table: *mut Self, before: *mut Self) {
        // SAFETY: By the safety requirements, both are valid, and `table` has room.
        unsafe {
            for place in Self::taken(before) {
                if let Some(first) = place.probes().next() {
                    let taken = Self::take(table, place.ip());
                    let first = ptr::from_ref(first).cast_mut();
                    taken.first.store(first, Ordering::Relaxed);
                }
            }
            (*table).before = before;
        }
    }
}
