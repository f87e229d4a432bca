// SPDX-License-Identifier: GPL-2.0

//! Trace events that are made at run time, and records of them.

use super::{
    armed::Source,
    field::Kind,
    text::{
        self,
        Described,
        Text, //
    },
    Arm,
    Armed,
    Entry,
    Event,
    Stored, //
};
use crate::{
    bindings,
    context::{
        Context,
        Place, //
    },
    kernel_ext::may_wait::may_wait,
    task::Comm, //
};
use core::{
    mem::MaybeUninit,
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};
use kernel::{
    error::from_err_ptr,
    prelude::*, //
};

/// The largest record, with its strings. It is on the stack of a handler.
const MAX_SIZE: usize = 512;
const MAX_FIELDS: usize = 16;
const MAX_FIELD_NAME: usize = 31;
const MAX_NAME: usize = 63;

/// What a field of a [`Dynamic`] is:
///
/// | type | in C | printed |
/// |---|---|---|
/// | `Unsigned(BYTES)`, `Signed(BYTES)` of 1, 2, 4 or 8 bytes | `unsigned char` to `long long` | in decimal |
/// | `Hex(BYTES)` | as `Unsigned` | in hexadecimal |
/// | `Pointer` | `void *` | hashed, like `%p` |
/// | `Symbol` | `void *` | as symbol and offset |
/// | `Comm` | `char[16]` | escaped |
/// | `Str(MAX)`, of up to `MAX` bytes | `__data_loc char[]` | escaped |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Type {
    Unsigned(u8),
    Signed(u8),
    Hex(u8),
    Pointer,
    Symbol,
    Comm,
    Str(u16),
}

impl Type {
    /// How it is printed, its type in C, the size of its elements, their number, and its
    /// alignment.
    #[inline]
    fn shape(self) -> Option<(Kind, &'static [u8], usize, usize, usize)> {
        let unsigned: &[u8] = match self {
            Self::Unsigned(1) | Self::Hex(1) => b"unsigned char\0",
            Self::Unsigned(2) | Self::Hex(2) => b"unsigned short\0",
            Self::Unsigned(4) | Self::Hex(4) => b"unsigned int\0",
            _ => b"unsigned long long\0",
        };
        let signed: &[u8] = match self {
            Self::Signed(1) => b"signed char\0",
            Self::Signed(2) => b"short\0",
            Self::Signed(4) => b"int\0",
            _ => b"long long\0",
        };
        Some(match self {
            Self::Unsigned(size @ (1 | 2 | 4 | 8)) => {
                (Kind::Unsigned, unsigned, size.into(), 1, size.into())
            }
            Self::Hex(size @ (1 | 2 | 4 | 8)) => (Kind::Hex, unsigned, size.into(), 1, size.into()),
            Self::Signed(size @ (1 | 2 | 4 | 8)) => {
                (Kind::Signed, signed, size.into(), 1, size.into())
            }
            Self::Pointer => (Kind::Pointer, b"void *\0", 8, 1, 8),
            Self::Symbol => (Kind::Symbol, b"void *\0", 8, 1, 8),
            Self::Comm => (Kind::Chars, b"char[16]\0", 1, Comm::SIZE, 1),
            Self::Str(_) => (Kind::String, b"__data_loc char[]\0", 4, 1, 4),
            _ => return None,
        })
    }

    #[inline]
    fn max(self) -> u16 {
        match self {
            Self::Str(max) => max,
            _ => 0,
        }
    }
}

/// Whether that can be the name of a field, an event or a system.
#[inline]
fn is_name(name: &str, most: usize) -> bool {
    name.len() <= most
        && name
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Copies a text, with a NUL.
#[inline]
fn terminated(text: &str) -> Result<KVec<u8>> {
    let mut bytes = KVec::with_capacity(text.len() + 1, GFP_KERNEL)?;
    bytes.extend_from_slice(text.as_bytes(), GFP_KERNEL)?;
    bytes.push(0, GFP_KERNEL)?;
    Ok(bytes)
}

/// A trace event whose fields are known only at run time.
///
/// It is like one of [`trace_event!`](crate::trace_event), and can arm probes. It is in
/// tracefs until all clones are dropped, which [`Armed`] and handlers can hold.
///
/// Where somebody listens then, in an instance, by a trigger or by perf, or where somebody has a
/// reference to the module, for a reason that cannot be told apart, it stays, and is removed when the
/// next event is made or dropped, or the module goes. It refuses other instances and perf with
/// `ENODEV`, so that writing to `events/enable` fails, too; not triggers, which the kernel cannot
/// refuse. The records in the buffers of tracefs are printed as before, except with `options/fields`;
/// the buffers of the instances in which it was enabled are emptied when the next module is unloaded.
/// If it is made again meanwhile, with the same fields, those who listen still do.
///
/// At run time no memory of it is freed, but reused if it is made again with the same fields. So
/// there are up to 1024 descriptions.
///
/// A module that makes one has the event `MODULE:kprobes_at_run_time` in tracefs, which cannot be
/// enabled: by `trace_set_clr_event()` it gets `event_mutex`, which is not exported and with which
/// `trace_add_event_call()` and `trace_remove_event_call()` have to be called. Unloading it
/// empties the buffer of the first instance.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// use kprobes::{
///     event::{Armed, Dynamic, Type},
///     kprobe,
///     Context, Kprobe, Target,
/// };
///
/// struct Log(Dynamic);
///
/// #[vtable]
/// impl kprobe::Handler for Log {
///     fn pre(&self, cx: &Context<'_>) {
///         self.0.emit(cx, |values| {
///             let _ = values.set(0, cx.arg(0));
///             let _ = values.text(1, cx.comm().as_bytes());
///         });
///     }
/// }
///
/// # fn f() -> Result {
/// let event = Dynamic::new(
///     "my_module",
///     "opens",
///     &[("directory", Type::Signed(4)), ("task", Type::Comm)],
/// )?;
/// let target = Target::symbol(c"do_sys_openat2").disabled();
/// let probe = event.arms(Kprobe::new(target, Log(event.clone())));
/// let probe: Pin<KBox<Armed<Kprobe<Log>, Dynamic>>> = KBox::pin_init(probe, GFP_KERNEL)?;
/// # drop(probe); Ok(()) }
/// ```
///
/// # Invariants
///
/// It is a user of the event, which `kprobes_event_make()` has made.
pub struct Dynamic(NonNull<bindings::kprobes_event>);

// SAFETY: C counts the users atomically, and locks the rest.
unsafe impl Send for Dynamic {}
// SAFETY: As above.
unsafe impl Sync for Dynamic {}

impl Dynamic {
    /// Makes the event `SYSTEM:NAME` with those fields, all of which is copied.
    ///
    /// Context: process context; it sleeps.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: a name does not consist of letters, digits and `_`, begins with a digit, is
    ///   longer than 63 bytes or, of a field, 31; or it is one that tracefs, the kernel or C
    ///   has for itself. There are no fields, more than 16, or two of the same name; one has a
    ///   size that there is not; or a record could be larger than 512 bytes, with an 8-byte header,
    ///   and a NUL for each string.
    /// - `EEXIST`: there is an event of that name. As for those of the kernel, one that is
    ///   made at the same time elsewhere is not seen.
    /// - `EDEADLK`: in a handler, under a spinlock, or where else one must not sleep.
    /// - `EOPNOTSUPP`: the kernel lacks `CONFIG_EVENT_TRACING`, or the module was loaded by force.
    /// - `ENOSPC`: there are 1024 descriptions, or no more numbers for events.
    /// - `ENODEV`: the module's exit has run.
    /// - `EIO`: the kernel does not let events be changed.
    /// - `ENOMEM`.
    #[inline]
    pub fn new(system: &str, name: &str, fields: &[(&str, Type)]) -> Result<Self> {
        may_wait()?;
        if !is_name(system, MAX_NAME)
            || !is_name(name, MAX_NAME)
            || text::SYSTEMS_OF_THE_KERNEL.contains(&system)
            || text::NAMES_OF_THE_KERNEL.contains(&name)
            || fields.is_empty()
            || fields.len() > MAX_FIELDS
        {
            return Err(EINVAL);
        }
        let mut names = KVec::with_capacity(fields.len(), GFP_KERNEL)?;
        for (n, (name, _)) in fields.iter().enumerate() {
            if !is_name(name, MAX_FIELD_NAME)
                || name.starts_with("common_")
                || fields.iter().take(n).any(|(other, _)| other == name)
            {
                return Err(EINVAL);
            }
            names.push(terminated(name)?, GFP_KERNEL)?;
        }

        let mut described: KVec<Described<'_>> = KVec::with_capacity(fields.len(), GFP_KERNEL)?;
        let mut shows = KVec::with_capacity(fields.len(), GFP_KERNEL)?;
        let mut of_c = KVec::with_capacity(fields.len(), GFP_KERNEL)?;
        let mut offset = size_of::<Entry>();
        let mut tail = 0;
        for ((_, ty), name) in fields.iter().zip(&names) {
            let (kind, c_type, size, count, align) = ty.shape().ok_or(EINVAL)?;
            offset = (offset + align - 1) & !(align - 1);
            let field = Described {
                name: core::str::from_utf8(name).map_err(|_| EINVAL)?,
                ty: c_type,
                kind,
                signed: matches!(ty, Type::Signed(_)),
                offset,
                align,
                size,
                count,
            };
            if text::is_c_keyword(field.name) {
                return Err(EINVAL);
            }
            shows.push(field.c_show(ty.max()), GFP_KERNEL)?;
            of_c.push(field.c_field(), GFP_KERNEL)?;
            described.push(field, GFP_KERNEL)?;
            offset += size * count;
            if kind == Kind::String {
                tail += usize::from(ty.max()) + 1;
            }
        }
        if (offset + tail).next_multiple_of(4) > MAX_SIZE {
            return Err(EINVAL);
        }

        let system = terminated(system)?;
        let name = terminated(name)?;
        // As many bytes as there can be: of a field, 35 here; and 9 and up to 70 below.
        let line: KBox<Text<576>> = KBox::new(text::line(&described, None), GFP_KERNEL)?;
        let print: KBox<Text<2048>> =
            KBox::new(text::print_fmt(&described, &line.bytes), GFP_KERNEL)?;
        let description = bindings::kprobes_description {
            system: system.as_ptr().cast(),
            name: name.as_ptr().cast(),
            print_fmt: print.bytes.as_ptr().cast(),
            line: line.bytes.as_ptr(),
            fields: of_c.as_ptr(),
            shows: shows.as_ptr(),
            count: fields.len() as u16,
            size: offset as u16,
        };
        // SAFETY: The texts end with a NUL, there are `count` fields and shows, which describe
        // a record whose fields begin within `size`, and the line names only those. The types are
        // in the module.
        let event = from_err_ptr(unsafe { bindings::kprobes_event_make(&description) })?;
        // INVARIANT: It is the first user.
        Ok(Self(NonNull::new(event).ok_or(ENOMEM)?))
    }

    #[inline(always)]
    fn event(&self) -> &Event {
        // SAFETY: By the type invariant, it is there, and C locks what it writes. `Event` is
        // transparent.
        unsafe { self.0.cast().as_ref() }
    }

    /// Returns whether anybody listens.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn is_enabled(&self) -> bool {
        self.event().is_enabled()
    }

    /// Passes a record to all who listen. If there are any, `fill` sets its values.
    ///
    /// Context: any handler's. The record is on the stack: 512 bytes.
    #[inline]
    pub fn emit<At: Place>(&self, cx: &Context<'_, At>, fill: impl FnOnce(&mut Values<'_>)) {
        if !self.is_enabled() {
            return;
        }
        // SAFETY: C has written them before it gave the event out, and does not again.
        let (shows, size) = unsafe {
            let event = self.0.as_ptr();
            let (shows, count) = ((*event).shows, (*event).count);
            (
                slice::from_raw_parts(shows, count.into()),
                usize::from((*event).size),
            )
        };
        let mut bytes = [MaybeUninit::uninit(); MAX_SIZE];
        for byte in bytes.iter_mut().take(size) {
            *byte = MaybeUninit::new(0);
        }
        // INVARIANT: Those are the record's, `new()` has checked its size, and as much is zeroed.
        let mut values = Values {
            shows,
            len: size,
            bytes,
        };
        fill(&mut values);
        values.finish();
        // SAFETY: The event describes what `values` stores.
        unsafe { self.event().pass_at(&values, cx) };
    }

    /// Has a probe enabled while somebody listens. The result is a user of the event.
    #[inline]
    pub fn arms<P: Arm, E: From<Error>>(
        &self,
        probe: impl PinInit<P, E>,
    ) -> impl PinInit<Armed<P, Dynamic>, E> {
        Armed::by(self.clone(), probe)
    }
}

impl Clone for Dynamic {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: By the type invariant, `self` is a user.
        unsafe { bindings::kprobes_event_get(self.0.as_ptr()) };
        // INVARIANT: The above made another user.
        Self(self.0)
    }
}

impl Drop for Dynamic {
    /// Context: any. Where one must not sleep, the last one leaves the event for the next that
    /// is made or dropped.
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant, this is a user, and it goes.
        unsafe { bindings::kprobes_event_put(self.0.as_ptr()) };
    }
}

// SAFETY: By the type invariant, the event is there as long as this.
unsafe impl Source for Dynamic {
    #[inline]
    fn event(&self) -> *mut bindings::kprobes_event {
        self.0.as_ptr()
    }
}

/// The values of a record of a [`Dynamic`]. Those that are not set are 0, or empty.
///
/// # Invariants
///
/// `len` is at most `MAX_SIZE`, and larger than an `Entry`. The first `len` bytes are initialised.
/// It is a record of the event that has
/// `shows`: as `'a` is another one in each [`Dynamic::emit`], two of them cannot be swapped.
pub struct Values<'a> {
    shows: &'a [bindings::kprobes_event_show],
    len: usize,
    bytes: [MaybeUninit<u8>; MAX_SIZE],
}

impl Values<'_> {
    /// Sets an integer or address, of which it takes the low bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no field of that index, or it is a text.
    #[inline]
    pub fn set(&mut self, index: usize, value: u64) -> Result {
        let show = self.shows.get(index).ok_or(EINVAL)?;
        if u32::from(show.kind) >= bindings::kprobes_event_kind_KPROBES_CHARS {
            return Err(EINVAL);
        }
        let at = show.offset.into();
        match show.size {
            1 => self.put(at, &(value as u8).to_ne_bytes()),
            2 => self.put(at, &(value as u16).to_ne_bytes()),
            4 => self.put(at, &(value as u32).to_ne_bytes()),
            _ => self.put(at, &value.to_ne_bytes()),
        }
    }

    /// Sets a `Comm` or `Str`. What is too long for it is cut.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no field of that index, or it is no text; `EEXIST` if it is a `Str` that
    /// has been set.
    #[inline]
    pub fn text(&mut self, index: usize, text: &[u8]) -> Result {
        let show = self.shows.get(index).ok_or(EINVAL)?;
        let at = usize::from(show.offset);
        match show.kind.into() {
            bindings::kprobes_event_kind_KPROBES_CHARS => {
                let mut chars = [0; Comm::SIZE];
                for (to, from) in chars[..Comm::SIZE - 1].iter_mut().zip(text) {
                    *to = *from;
                }
                self.put(at, &chars)
            }
            bindings::kprobes_event_kind_KPROBES_STRING => {
                if self.is_set(at)? {
                    return Err(EEXIST);
                }
                let text = text.get(..show.max.into()).unwrap_or(text);
                let (from, len) = (self.len, text.len() + 1);
                self.put(from, text)?;
                self.put(from + text.len(), &[0])?;
                // INVARIANT: There was room, and all of it is initialised.
                self.len = from + len;
                self.put(at, &((len as u32) << 16 | from as u32).to_ne_bytes())
            }
            _ => Err(EINVAL),
        }
    }

    #[inline(always)]
    fn put(&mut self, offset: usize, value: &[u8]) -> Result {
        let to = self.bytes.get_mut(offset..offset + value.len());
        for (to, from) in to.ok_or(EINVAL)?.iter_mut().zip(value) {
            *to = MaybeUninit::new(*from);
        }
        Ok(())
    }

    /// Whether a string has been set, whose place is at that offset.
    #[inline(always)]
    fn is_set(&self, offset: usize) -> Result<bool> {
        if offset + 4 > self.len {
            return Err(EINVAL);
        }
        let place = self.bytes.as_ptr().wrapping_add(offset).cast::<u32>();
        // SAFETY: By the type invariant, there are `len` bytes, which are initialised.
        Ok(unsafe { place.read_unaligned() } != 0)
    }

    /// Makes the strings that were not set empty ones.
    #[inline]
    fn finish(&mut self) {
        for n in 0..self.shows.len() {
            if u32::from(self.shows[n].kind) == bindings::kprobes_event_kind_KPROBES_STRING {
                let _ = self.text(n, b"");
            }
        }
    }
}

// SAFETY: `store` writes all that `tail()` says, which is not 0, and there are no other bytes.
unsafe impl Stored for Values<'_> {
    const SIZE: usize = size_of::<Entry>();
    const MAX_TAIL: usize = MAX_SIZE - Self::SIZE;
    const PADDED: bool = false;

    #[inline(always)]
    fn tail(&self) -> usize {
        self.len - Self::SIZE
    }

    #[inline(always)]
    unsafe fn store(&self, to: *mut u8) {
        // SAFETY: By the type invariant, `bytes` has `len` bytes, which are initialised; by the
        // safety requirements, `to` is valid for writing as many.
        unsafe {
            ptr::copy_nonoverlapping(
                self.bytes.as_ptr().cast::<u8>().add(Self::SIZE),
                to.add(Self::SIZE),
                self.tail(),
            );
        }
    }
}
