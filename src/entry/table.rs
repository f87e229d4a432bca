// SPDX-License-Identifier: GPL-2.0

//! The hash table of probed functions. The key is the address of the function's ftrace call.
//!
//! The table uses open addressing, and is at most an eighth full. Callbacks read it without a lock:
//! a used slot keeps its function, and only its list of probes changes. A larger table replaces one
//! that is too small, which is freed after a grace period.

use super::record::Record;
use crate::common::*;

/// A function and the list of its probes.
#[repr(C)]
pub(super) struct Slot {
    /// The address of the ftrace call, or 0 in a free slot.
    ip: AtomicUsize,
    first: AtomicPtr<Record>,
}

impl Slot {
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

    /// Returns the first probe, if this is the slot of `ip`.
    #[inline(always)]
    pub(super) fn first_probe(&self, ip: usize) -> Option<*const Record> {
        (self.ip.load(Ordering::Acquire) == ip)
            .then(|| self.first.load(Ordering::Acquire).cast_const())
    }

    /// Iterates over the probes.
    ///
    /// # Safety
    ///
    /// The caller must hold the lock while it uses the probes.
    #[inline]
    pub(super) unsafe fn probes<'a>(&self) -> impl Iterator<Item = &'a Record> {
        let mut at = self.first.load(Ordering::Relaxed);
        core::iter::from_fn(move || {
            // SAFETY: By the safety requirements, the lock is held, so linked probes are valid.
            let probe = unsafe { at.as_ref() }.filter(|probe| !probe.is_sentinel())?;
            at = probe.next.load(Ordering::Relaxed);
            Some(probe)
        })
    }
}

/// The header of a table. The slots follow.
///
/// # Invariants
///
/// - A table is an allocation of `capacity` slots: `HEADER` slots with the header, a power of two
///   of slots with the offsets 0 to `mask`, and `SPARE` slots that stay free.
/// - `first` of a used slot is `sentinel`, or a list of probes that ends with null.
#[repr(C)]
pub(super) struct Table {
    /// The largest byte offset of a slot, without the spare ones.
    mask: u32,
    /// The number of used slots. Protected by the lock.
    used: u32,
    /// The table that this one replaces, which callbacks may still read. Protected by the lock.
    pub(super) replaced: *mut Table,
    capacity: usize,
    /// A probe that is never enabled, for slots without probes; avoids a null check.
    sentinel: Record,
}

const HEADER: usize = size_of::<Table>().div_ceil(size_of::<Slot>());
/// The number of free slots at the end.
const SPARE: usize = 3;
/// With this limit, offsets fit into `mask`.
const MAX_SLOTS: usize = 1 << 24;
const _: () = assert!(align_of::<Slot>() >= align_of::<Table>());

impl Table {
    #[inline]
    pub(super) fn new(functions: usize) -> Result<*mut Self> {
        let slots = (8 * functions).next_power_of_two().max(16);
        if slots > MAX_SLOTS {
            return Err(ENOMEM);
        }
        let needed = HEADER + slots + SPARE;
        let mut all = KVVec::with_capacity(needed, GFP_KERNEL)?;
        for _ in 0..needed {
            all.push(Slot::free(), GFP_KERNEL)?;
        }
        let (start, _, capacity) = all.into_raw_parts();
        let table: *mut Self = start.cast();
        // SAFETY: A header fits into `HEADER` slots and needs no larger alignment.
        unsafe {
            table.write(Self {
                mask: ((slots - 1) * size_of::<Slot>()) as u32,
                used: 0,
                replaced: ptr::null_mut(),
                capacity,
                sentinel: Record::sentinel(),
            });
        }
        // INVARIANT: The allocation has `HEADER + slots + SPARE` slots, all free.
        Ok(table)
    }

    /// Frees a table and the tables that it has replaced.
    ///
    /// # Safety
    ///
    /// `table` must be null or from [`Table::new`], and no callback may use these tables.
    #[inline]
    #[link_section = ".kprobes.text"]
    pub(super) unsafe fn free(mut table: *mut Self) {
        while !table.is_null() {
            // SAFETY: By the safety requirements, `table` is valid.
            let (replaced, capacity) = unsafe { ((*table).replaced, (*table).capacity) };
            // SAFETY: `new` has allocated a vector of this capacity, whose elements need no drop.
            drop(unsafe { KVVec::<Slot>::from_raw_parts(table.cast(), 0, capacity) });
            table = replaced;
        }
    }

    /// Returns the slot at an offset in bytes.
    ///
    /// # Safety
    ///
    /// `table` must be valid, and `at` be an offset within `mask`.
    #[inline(always)]
    unsafe fn slot(table: *const Self, at: u32) -> *const Slot {
        // SAFETY: By the type invariant and the safety requirements, the table has this slot.
        unsafe { table.cast::<Slot>().add(HEADER).byte_add(at as usize) }
    }

    /// Multiplies by the constant of `hash_32()`, which moves neighbours apart. It is odd, so the
    /// products differ in their low bits if the addresses do.
    #[inline(always)]
    const fn hash(ip: usize) -> u32 {
        (ip as u32).wrapping_mul(0x61c8_8647)
    }

    /// Returns the first slot of a function's probe sequence.
    ///
    /// # Safety
    ///
    /// `table` must be valid.
    #[inline(always)]
    pub(super) unsafe fn first_slot(table: *const Self, ip: usize) -> *const Slot {
        // SAFETY: By the safety requirements, `table` is valid. The offset is within the mask.
        unsafe { Self::slot(table, Self::hash(ip) & (*table).mask) }
    }

    /// Returns the first probe of a function, if its slot is one of the `SPARE` after `first`. The
    /// probe is valid while preemption is disabled.
    ///
    /// # Safety
    ///
    /// `first` must be from [`Table::first_slot`] of a table that is still valid.
    #[inline(always)]
    pub(super) unsafe fn find_nearby(first: *const Slot, ip: usize) -> Option<*const Record> {
        for n in 1..=SPARE {
            // SAFETY: By the invariant of `Table`, `SPARE` slots follow the last one.
            let slot = unsafe { &*first.add(n) };
            if let Some(probe) = slot.first_probe(ip) {
                return Some(probe);
            }
        }
        None
    }

    /// Returns the slot of a function, or the free slot at the end of its probe sequence.
    ///
    /// # Safety
    ///
    /// `table` must be valid for `'a`.
    #[inline(always)]
    unsafe fn look_up<'a>(table: *const Self, ip: usize) -> &'a Slot {
        // SAFETY: By the safety requirements, `table` is valid.
        let mask = unsafe { (*table).mask };
        let mut at = Self::hash(ip) & mask;
        loop {
            // SAFETY: `at` is within the mask.
            let slot = unsafe { &*Self::slot(table, at) };
            let here = slot.ip();
            if here == ip || here == 0 {
                return slot;
            }
            at = (at + size_of::<Slot>() as u32) & mask;
        }
    }

    /// Returns the first probe of a function, or the sentinel. The result is valid while preemption
    /// is disabled or the lock is held.
    ///
    /// # Safety
    ///
    /// `table` must be valid.
    // Runs outside of the recursion guard.
    #[inline]
    #[link_section = ".kprobes.text"]
    pub(super) unsafe fn find(table: *const Self, ip: usize) -> *const Record {
        // SAFETY: By the safety requirements, `table` is valid.
        let slot = unsafe { Self::look_up(table, ip) };
        // SAFETY: This only computes the address of a field.
        let sentinel = unsafe { &raw const (*table).sentinel };
        slot.first_probe(ip).unwrap_or(sentinel)
    }

    /// Returns the slot of a function, after claiming a free one if the function has none.
    ///
    /// # Safety
    ///
    /// `table` must be valid for `'a` and have room, and the caller must hold the lock.
    #[inline]
    #[link_section = ".kprobes.text"]
    pub(super) unsafe fn claim<'a>(table: *mut Self, ip: usize) -> &'a Slot {
        // SAFETY: By the safety requirements, `table` is valid.
        let slot = unsafe { Self::look_up(table, ip) };
        if slot.ip() == 0 {
            // SAFETY: By the safety requirements, the lock is held, which protects `used`.
            let (sentinel, used) = unsafe { (&raw mut (*table).sentinel, &mut (*table).used) };
            slot.first.store(sentinel, Ordering::Relaxed);
            *used += 1;
            slot.ip.store(ip, Ordering::Release);
        }
        slot
    }

    /// Adds `probe` at the front of its function's list.
    ///
    /// # Safety
    ///
    /// `table` must be valid and have room, and the caller must hold the lock. `probe` must stay
    /// valid until it is unlinked and all callbacks have finished.
    #[inline]
    pub(super) unsafe fn link(table: *mut Self, probe: *const Record) {
        // SAFETY: By the safety requirements, `table` has room, and `probe` is valid.
        let (slot, probe) = unsafe { (Self::claim(table, (*probe).ip()), &*probe) };
        // SAFETY: By the safety requirements, the lock is held.
        let next = unsafe { slot.probes().next() }.map_or(ptr::null(), ptr::from_ref);
        probe.next.store(next.cast_mut(), Ordering::Relaxed);
        let probe = ptr::from_ref(probe).cast_mut();
        slot.first.store(probe, Ordering::Release);
    }

    /// Unlinks `probe`. Its `next` does not change, so that concurrent callbacks can continue.
    ///
    /// # Safety
    ///
    /// `table` must be valid, `probe` be linked in it, and the caller hold the lock.
    #[inline]
    #[link_section = ".kprobes.text"]
    pub(super) unsafe fn unlink(table: *mut Self, probe: &Record) {
        // SAFETY: By the safety requirements, `table` is valid. `probe` has a slot already.
        let slot = unsafe { Self::claim(table, probe.ip()) };
        let mut at = &slot.first;
        let mut previous: Option<&Record> = None;
        loop {
            let here = at.load(Ordering::Relaxed);
            // SAFETY: By the safety requirements, `probe` follows, so `here` is linked and valid.
            let next = unsafe { &(*here).next };
            if ptr::eq(here, probe) {
                let mut next = next.load(Ordering::Relaxed);
                if next.is_null() && ptr::eq(at, &slot.first) {
                    // SAFETY: This only computes the address of a field.
                    next = unsafe { &raw mut (*table).sentinel };
                }
                at.store(next, Ordering::Release);
                // If `previous` is the last one now, its `call` changes.
                if let Some(previous) = previous.filter(|previous| previous.is_enabled()) {
                    previous.arm();
                }
                return;
            }
            // SAFETY: `here` is linked, and so valid.
            previous = Some(unsafe { &*here });
            at = next;
        }
    }

    /// Returns whether `table` has room for `more` functions.
    ///
    /// # Safety
    ///
    /// `table` must be valid or null, and the caller must hold the lock.
    #[inline]
    pub(super) unsafe fn has_room(table: *const Self, more: usize) -> bool {
        // SAFETY: By the safety requirements, `table` is valid or null.
        unsafe { table.as_ref() }.is_some_and(|table| {
            8 * (table.used as usize + more) <= table.mask as usize / size_of::<Slot>() + 1
        })
    }

    /// Iterates over the used slots.
    ///
    /// # Safety
    ///
    /// `table` must be valid or null, and the caller must hold the lock while it iterates.
    #[inline]
    pub(super) unsafe fn used_slots<'a>(table: *const Self) -> impl Iterator<Item = &'a Slot> {
        let size = size_of::<Slot>() as u32;
        // SAFETY: By the safety requirements, `table` is valid or null.
        let slots = unsafe { table.as_ref() }.map_or(0, |table| table.mask / size + 1);
        let mut next = 0;
        core::iter::from_fn(move || {
            while next < slots {
                // SAFETY: The table is valid, and the offset is within its mask.
                let slot = unsafe { &*Self::slot(table, next * size) };
                next += 1;
                if slot.ip() != 0 {
                    return Some(slot);
                }
            }
            None
        })
    }

    /// Copies the lists of `old` to `table`, which replaces it.
    ///
    /// # Safety
    ///
    /// `table` must be new and have room, `old` be valid or null, and the caller hold the lock.
    #[inline]
    pub(super) unsafe fn replace(table: *mut Self, old: *mut Self) {
        // SAFETY: By the safety requirements, both are valid, and `table` has room.
        unsafe {
            for slot in Self::used_slots(old) {
                if let Some(first) = slot.probes().next() {
                    let new = Self::claim(table, slot.ip());
                    let first = ptr::from_ref(first).cast_mut();
                    new.first.store(first, Ordering::Relaxed);
                }
            }
            (*table).replaced = old;
        }
    }
}
