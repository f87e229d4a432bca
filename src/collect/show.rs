// SPDX-License-Identifier: GPL-2.0

//! How collected figures are shown: in the log, and in debugfs as text and as JSON lines.
//!
//! Context: process context.

use crate::{
    kernel_ext::{
        count::Count,
        percpu::PerCpuCounts,
        symbol::Address, //
    },
    nofault::{
        KernelPtr,
        UserPtr, //
    },
    pending::Pending,
    probe::{
        Handles,
        Kind,
        Probe,
        Registered,
        Set, //
    },
    task::Comm, //
};
use core::fmt;
use kernel::{
    debugfs::ScopedDir,
    prelude::*,
    uaccess::UserSliceReader, //
};

/// How a key or a value of a map is shown.
pub trait Show {
    /// Writes it as text.
    fn text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Writes it as a JSON value.
    fn json(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// A [`Show`] as text.
pub(super) struct Shown<'a, T: ?Sized>(pub(super) &'a T);

impl<T: Show + ?Sized> fmt::Display for Shown<'_, T> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.text(f)
    }
}

/// A [`Show`] as JSON.
pub(super) struct Json<'a, T: ?Sized>(pub(super) &'a T);

impl<T: Show + ?Sized> fmt::Display for Json<'_, T> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.json(f)
    }
}

macro_rules! numbers {
    ($($type:ty)*) => {
        $(
            impl Show for $type {
                #[inline]
                fn text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(self, f)
                }

                #[inline]
                fn json(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(self, f)
                }
            }
        )*
    };
}

numbers!(bool u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

/// Types that the `kernel` crate prints, which are a string in JSON.
macro_rules! strings {
    ($([$($param:ident)?] $type:ty, |$this:ident| $shown:expr;)*) => {
        $(
            impl<$($param)?> Show for $type {
                #[inline]
                fn text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    let $this = self;
                    kernel::fmt::Display::fmt(&$shown, f)
                }

                #[inline]
                fn json(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    let $this = self;
                    quoted(f, &$shown)
                }
            }
        )*
    };
}

strings! {
    [] Comm, |this| *this;
    [] Address, |this| this.location();
    [T] KernelPtr<T>, |this| Address::new(this.addr());
    [T] UserPtr<T>, |this| Address::new(this.addr());
}

/// Writes it as a JSON string.
pub(super) fn quoted<T: kernel::fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    shown: &T,
) -> fmt::Result {
    f.write_str("\"")?;
    fmt::Write::write_fmt(&mut Quoted(f), kernel::prelude::fmt!("{}", shown))?;
    f.write_str("\"")
}

/// Writes the inside of a JSON string. What is written to it is ASCII, as all text for the log.
struct Quoted<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Quoted<'_, '_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '"' | '\\' => write!(self.0, "\\{c}")?,
                c if c < ' ' => write!(self.0, "\\u{:04x}", c as u32)?,
                c => self.0.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The name of the errno: `ENOENT`.
impl Show for Error {
    #[inline]
    fn text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }

    #[inline]
    fn json(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self:?}\"")
    }
}

impl Show for () {
    #[inline]
    fn text(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }

    #[inline]
    fn json(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null")
    }
}

/// Writes the parts one after the other.
#[inline]
fn list<'a>(
    f: &mut fmt::Formatter<'_>,
    json: bool,
    parts: impl Iterator<Item = &'a dyn Show>,
) -> fmt::Result {
    let mut separator = if json { "[" } else { "" };
    for part in parts {
        f.write_str(separator)?;
        if json {
            part.json(f)?;
        } else {
            part.text(f)?;
        }
        separator = if json { "," } else { ", " };
    }
    f.write_str(if json { "]" } else { "" })
}

impl<T: Show, const N: usize> Show for [T; N] {
    #[inline]
    fn text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, false, self.iter().map(|part| part as &dyn Show))
    }

    #[inline]
    fn json(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, true, self.iter().map(|part| part as &dyn Show))
    }
}

macro_rules! tuples {
    ($($($type:ident $n:tt)+;)*) => {
        $(
            impl<$($type: Show),+> Show for ($($type,)+) {
                #[inline]
                fn text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    list(f, false, [$(&self.$n as &dyn Show),+].into_iter())
                }

                #[inline]
                fn json(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    list(f, true, [$(&self.$n as &dyn Show),+].into_iter())
                }
            }
        )*
    };
}

tuples! {
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
}

/// Writes the fields of a struct that [`key!`](crate::key) has declared.
#[doc(hidden)]
#[inline]
pub fn fields(f: &mut fmt::Formatter<'_>, json: bool, fields: &[(&str, &dyn Show)]) -> fmt::Result {
    let mut separator = if json { "{" } else { "" };
    for (name, field) in fields {
        if json {
            write!(f, "{separator}\"{name}\":{}", Json(*field))?;
        } else {
            write!(f, "{separator}{name} {}", Shown(*field))?;
        }
        separator = if json { "," } else { ", " };
    }
    f.write_str(if json { "}" } else { "" })
}

/// What can be shown as lines: a map, a histogram, counters, a probe.
pub trait View: Send + Sync + 'static {
    /// Writes it as text; of a map, up to `most` entries.
    fn text(&self, out: &mut dyn fmt::Write, most: usize) -> fmt::Result;

    /// Writes it as JSON, an object on each line.
    fn json(&self, out: &mut dyn fmt::Write) -> fmt::Result;

    /// Empties it.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if there is nothing that can be emptied.
    #[inline]
    fn clear(&self) -> Result {
        Err(EOPNOTSUPP)
    }
}

/// Text of up to `N` bytes; what does not fit is left out.
pub(super) struct Buffer<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Buffer<N> {
    #[inline]
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    #[inline]
    pub(super) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Write for Buffer<N> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let rest = self.bytes.get_mut(self.len..).unwrap_or_default();
        for (to, &from) in rest.iter_mut().zip(text.as_bytes()) {
            *to = from;
            self.len += 1;
        }
        Ok(())
    }
}

/// Calls `log` with each line of `view`.
#[doc(hidden)]
#[inline]
pub fn by_line(view: &dyn View, most: usize, log: &mut dyn FnMut(&str)) {
    struct ByLine<'a> {
        line: Buffer<512>,
        log: &'a mut dyn FnMut(&str),
    }

    impl fmt::Write for ByLine<'_> {
        #[inline]
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for part in text.split_inclusive('\n') {
                self.line.write_str(part.trim_end_matches('\n'))?;
                if part.ends_with('\n') {
                    (self.log)(self.line.as_str());
                    self.line.len = 0;
                }
            }
            Ok(())
        }
    }

    let line = Buffer::new();
    if view.text(&mut ByLine { line, log }, most).is_err() {
        log("(out of memory)");
    }
}

/// Logs a map, a histogram or another [`View`](crate::collect::View) by `pr_info!`, in lines of up
/// to 512 bytes. `log!(map, 10)` logs the ten entries of a map with the largest counts.
///
/// Context: process context; it sleeps.
#[macro_export]
macro_rules! log {
    ($view:expr) => {
        $crate::log!($view, $crate::macro_paths::usize::MAX)
    };
    ($view:expr, $most:expr) => {
        $crate::collect::by_line($view, $most, &mut |line| {
            $crate::macro_paths::kernel::prelude::pr_info!("{line}\n")
        })
    };
}

/// What a file in debugfs turns on and off: a probe or a set of probes.
pub trait Switch: Send + Sync + 'static {
    /// Returns whether it is on.
    fn is_on(&self) -> bool;

    /// Turns it on or off.
    ///
    /// # Errors
    ///
    /// Those of [`Registered::enable`] and [`Registered::disable`].
    fn turn(&self, on: bool) -> Result;
}

macro_rules! switches {
    ($($type:ident: |$this:ident| $is_on:expr;)*) => {
        $(
            impl<K: Kind, H: Handles<K>> Switch for $type<K, H>
            where
                Self: 'static,
            {
                fn is_on(&self) -> bool {
                    let $this = self;
                    $is_on
                }

                fn turn(&self, on: bool) -> Result {
                    if on {
                        self.enable()
                    } else {
                        self.disable()
                    }
                }
            }
        )*
    };
}

switches! {
    Probe: |probe| probe.is_enabled();
    Set: |set| set.iter().any(|(_, probe)| probe.is_enabled());
}

/// Writes what a probe can be asked, see [`Registered`].
fn state<K: Kind>(probe: &Registered<K>, json: bool, out: &mut dyn fmt::Write) -> fmt::Result {
    let mut place = Buffer::<512>::new();
    kernel::fmt::Write::write_fmt(&mut place, kernel::prelude::fmt!("{}", probe.location()))?;
    let (place, mechanism) = (place.as_str(), probe.mechanism().name());
    let (enabled, gone, missed) = (probe.is_enabled(), probe.is_gone(), probe.missed());
    if json {
        return writeln!(
            out,
            "{{\"place\":\"{place}\",\"mechanism\":\"{mechanism}\",\"enabled\":{enabled},\
             \"gone\":{gone},\"missed\":{missed}}}"
        );
    }
    let state = match (enabled, gone) {
        (true, _) => "enabled",
        (false, false) => "disabled",
        (false, true) => "gone",
    };
    writeln!(out, "{place} by {mechanism}, {state}, {missed} missed")
}

/// The place, the mechanism, whether it is enabled, and the misses.
impl<K: Kind, H: Handles<K>> View for Probe<K, H>
where
    Self: 'static,
{
    #[inline]
    fn text(&self, out: &mut dyn fmt::Write, _most: usize) -> fmt::Result {
        state(self, false, out)
    }

    #[inline]
    fn json(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        state(self, true, out)
    }
}

/// As a single probe, a line for each.
impl<K: Kind, H: Handles<K>> View for Set<K, H>
where
    Self: 'static,
{
    #[inline]
    fn text(&self, out: &mut dyn fmt::Write, most: usize) -> fmt::Result {
        self.iter()
            .take(most)
            .try_for_each(|(_, probe)| state(probe, false, out))
    }

    #[inline]
    fn json(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.iter()
            .try_for_each(|(_, probe)| state(probe, true, out))
    }
}

/// As a set, or what state a probe is in; and what they missed whenever they were registered.
impl<K: Kind, H: Handles<K>> View for Pending<K, H>
where
    Self: 'static,
{
    fn text(&self, out: &mut dyn fmt::Write, most: usize) -> fmt::Result {
        for (index, now) in (0..most).map_while(|index| Some((index, self.state(index)?))) {
            let shown = self.with(index, |probe| state(probe, false, out));
            shown.unwrap_or_else(|| writeln!(out, "{now:?}"))?;
        }
        writeln!(out, "{} missed in all", self.missed())
    }

    fn json(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        for (index, now) in (0..).map_while(|index| Some((index, self.state(index)?))) {
            let shown = self.with(index, |probe| state(probe, true, out));
            shown.unwrap_or_else(|| writeln!(out, "{{\"state\":\"{now:?}\"}}"))?;
        }
        Ok(())
    }
}

impl View for Count {
    #[inline]
    fn text(&self, out: &mut dyn fmt::Write, _most: usize) -> fmt::Result {
        writeln!(out, "{}", self.get())
    }

    #[inline]
    fn json(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.text(out, usize::MAX)
    }
}

/// The counters in their order.
impl<const N: usize> View for PerCpuCounts<N> {
    #[inline]
    fn text(&self, out: &mut dyn fmt::Write, _most: usize) -> fmt::Result {
        (0..N).try_for_each(|n| writeln!(out, "{}", self.get(n)))
    }

    #[inline]
    fn json(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.text(out, usize::MAX)
    }
}

/// Files in debugfs, in the folder of a [`Scope`](kernel::debugfs::Scope), which owns what they
/// show. Without `CONFIG_DEBUG_FS` there are none.
///
/// # Examples
///
/// The state of a probe, what it counts, and a switch, in `/sys/kernel/debug/opens/`:
///
/// ```
/// use kernel::{debugfs::Scope, prelude::*};
/// use kprobes::{collect::Files, entry, Comm, CountMap, Entry, Target};
///
/// struct Opens(CountMap<Comm>);
///
/// #[vtable]
/// impl entry::Handler for Opens {
///     fn entry(&self, cx: &entry::Context<'_>) {
///         self.0.add(cx.comm(), 1);
///     }
/// }
///
/// # fn f() -> Result {
/// let opens = Entry::new(Target::symbol(c"do_sys_openat2"), Opens(CountMap::new(100)?));
/// let opens = KBox::pin_init(
///     Scope::dir(opens, c"opens", |probe, files| {
///         files.view(c"state", probe);
///         files.view(c"by_comm", &probe.handler().0);
///         files.switch(c"enabled", probe);
///     }),
///     GFP_KERNEL,
/// )?;
/// # drop(opens); Ok(()) }
/// ```
pub trait Files<'data> {
    /// Adds the file `NAME` with `view` as text, and `NAME.json` with it as JSON lines. Writing to
    /// `NAME` [clears](View::clear) it.
    ///
    /// Context: process context; it sleeps.
    fn view<V: View>(&self, name: &CStr, view: &'data V);

    /// Adds a file that reads as 1 if `switch` is on and as 0 if it is off. Writing 1 or 0 to it
    /// turns it on or off.
    ///
    /// Context: process context; it sleeps.
    fn switch<S: Switch>(&self, name: &CStr, switch: &'data S);
}

impl<'data> Files<'data> for ScopedDir<'data, '_> {
    #[inline]
    fn view<V: View>(&self, name: &CStr, view: &'data V) {
        self.read_write_callback_file(
            name,
            view,
            &|view: &V, f: &mut fmt::Formatter<'_>| view.text(f, usize::MAX),
            &|view: &V, _: &mut UserSliceReader| view.clear(),
        );
        let mut json = Buffer::<64>::new();
        let name = name.to_str().unwrap_or_default();
        let _ = fmt::Write::write_fmt(&mut json, format_args!("{name}.json\0"));
        if let Ok(name) = CStr::from_bytes_with_nul(json.as_str().as_bytes()) {
            let lines = &|view: &V, f: &mut fmt::Formatter<'_>| view.json(f);
            self.read_callback_file(name, view, lines);
        }
    }

    #[inline]
    fn switch<S: Switch>(&self, name: &CStr, switch: &'data S) {
        self.read_write_callback_file(
            name,
            switch,
            &|switch: &S, f: &mut fmt::Formatter<'_>| writeln!(f, "{}", u8::from(switch.is_on())),
            &|switch: &S, from: &mut UserSliceReader| {
                let mut text = [0; 1];
                from.read_slice(&mut text)?;
                match text[0] {
                    b'0' | b'n' | b'N' => switch.turn(false),
                    b'1' | b'y' | b'Y' => switch.turn(true),
                    _ => Err(EINVAL),
                }
            },
        );
    }
}
