// SPDX-License-Identifier: GPL-2.0

//! How maps, histograms and probes are shown: in the log, and in debugfs as text and JSON lines.
//!
//! Context: process context.

use crate::common::*;
use crate::kernel_ext::percpu::PerCpuCounts;
use crate::pending::Pending;
use core::fmt;
use kernel::debugfs::ScopedDir;
use kernel::str::kstrtobool_bytes;
use kernel::str::CString;
use kernel::uaccess::UserSliceReader;

/// The output format of a [`View`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text.
    Text,
    /// JSON.
    Json,
}

/// How a key or a value of a map is written.
pub trait Show {
    /// Writes it as text, or as a JSON value.
    fn show(&self, form: Form, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// Displays a [`Show`] in one form.
pub(super) struct Shown<'a, T: ?Sized>(pub(super) Form, pub(super) &'a T);

impl<T: Show + ?Sized> fmt::Display for Shown<'_, T> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.1.show(self.0, f)
    }
}

macro_rules! show {
    ($([$($param:ident)?] $type:ty, |$this:pat_param, $form:pat_param, $f:ident| $show:expr;)*) => {
        $(
            impl<$($param)?> Show for $type {
                #[inline]
                fn show(&self, $form: Form, $f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    let $this = self;
                    $show
                }
            }
        )*
    };
}

show! {
    [] (), |(), form, f| f.write_str(if form == Form::Json { "null" } else { "" });
    [] bool, |this, _, f| fmt::Display::fmt(this, f);
    [] u8, |this, _, f| fmt::Display::fmt(this, f);
    [] u16, |this, _, f| fmt::Display::fmt(this, f);
    [] u32, |this, _, f| fmt::Display::fmt(this, f);
    [] u64, |this, _, f| fmt::Display::fmt(this, f);
    [] usize, |this, _, f| fmt::Display::fmt(this, f);
    [] i8, |this, _, f| fmt::Display::fmt(this, f);
    [] i16, |this, _, f| fmt::Display::fmt(this, f);
    [] i32, |this, _, f| fmt::Display::fmt(this, f);
    [] i64, |this, _, f| fmt::Display::fmt(this, f);
    [] isize, |this, _, f| fmt::Display::fmt(this, f);
    // The name of the errno, as `ENOENT`.
    [] Error, |this, form, f| match form {
        Form::Text => write!(f, "{this:?}"),
        Form::Json => write!(f, "\"{this:?}\""),
    };
    [] Comm, |this, form, f| string(form, f, this);
    [] Address, |this, form, f| string(form, f, &this.location());
    [T] KernelPtr<T>, |this, form, f| Address::new(this.addr()).show(form, f);
    [T] UserPtr<T>, |this, form, f| Address::new(this.addr()).show(form, f);
}

/// Writes a value by its `kernel::fmt::Display`; in JSON, as a string.
pub(super) fn string<T: kernel::fmt::Display>(
    form: Form,
    f: &mut fmt::Formatter<'_>,
    shown: &T,
) -> fmt::Result {
    if form == Form::Text {
        return kernel::fmt::Display::fmt(shown, f);
    }
    f.write_str("\"")?;
    fmt::Write::write_fmt(&mut Quoted(f), kernel::prelude::fmt!("{}", shown))?;
    f.write_str("\"")
}

/// Escapes the contents of a JSON string. The input is ASCII, as all text for the log.
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

/// Writes `start`, the parts with `separator` between them, and `end`.
#[inline]
pub(super) fn join<W: fmt::Write + ?Sized, T>(
    out: &mut W,
    [start, separator, end]: [&str; 3],
    parts: impl IntoIterator<Item = T>,
    write: impl Fn(&mut W, T) -> fmt::Result,
) -> fmt::Result {
    out.write_str(start)?;
    for (n, part) in parts.into_iter().enumerate() {
        out.write_str(if n == 0 { "" } else { separator })?;
        write(out, part)?;
    }
    out.write_str(end)
}

/// Writes the elements of an array or a tuple.
#[inline]
fn list<'a>(
    form: Form,
    f: &mut fmt::Formatter<'_>,
    parts: impl Iterator<Item = &'a dyn Show>,
) -> fmt::Result {
    let around = match form {
        Form::Text => ["", ", ", ""],
        Form::Json => ["[", ",", "]"],
    };
    join(f, around, parts, |f, part| part.show(form, f))
}

impl<T: Show, const N: usize> Show for [T; N] {
    #[inline]
    fn show(&self, form: Form, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(form, f, self.iter().map(|part| part as &dyn Show))
    }
}

macro_rules! tuples {
    ($($($type:ident $n:tt)+;)*) => {
        $(
            impl<$($type: Show),+> Show for ($($type,)+) {
                #[inline]
                fn show(&self, form: Form, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    list(form, f, [$(&self.$n as &dyn Show),+].into_iter())
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

/// Writes the fields of a struct that [`key!`](crate::key) declares.
#[doc(hidden)]
#[inline]
pub fn fields(form: Form, f: &mut fmt::Formatter<'_>, fields: &[(&str, &dyn Show)]) -> fmt::Result {
    let (around, quote, colon) = match form {
        Form::Text => (["", ", ", ""], "", " "),
        Form::Json => (["{", ",", "}"], "\"", ":"),
    };
    join(f, around, fields, |f, (name, field)| {
        write!(f, "{quote}{name}{quote}{colon}")?;
        field.show(form, f)
    })
}

/// Writes the result of a map's `dropped()`. In text, omits 0.
#[inline]
pub(super) fn dropped(form: Form, out: &mut dyn fmt::Write, dropped: u64) -> fmt::Result {
    match (form, dropped) {
        (Form::Text, 0) => Ok(()),
        (Form::Text, _) => writeln!(out, "dropped: {dropped}"),
        (Form::Json, _) => writeln!(out, "{{\"dropped\":{dropped}}}"),
    }
}

/// What [`log!`](crate::log) and [`Files::view`] can show: a map, a histogram, counters, a probe.
pub trait View: Send + Sync + 'static {
    /// Writes text or JSON lines. A map writes up to `most` entries.
    fn show(&self, form: Form, most: usize, out: &mut dyn fmt::Write) -> fmt::Result;

    /// Empties a map or a histogram. `dropped()` of a map is not reset.
    ///
    /// Errors: `EOPNOTSUPP` for counters and probes, which cannot be emptied; `ENOMEM` for a map.
    #[inline]
    fn clear(&self) -> Result {
        Err(EOPNOTSUPP)
    }
}

/// Text of up to `N` bytes. Writing more discards the rest.
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
    let shown = view.show(Form::Text, most, &mut ByLine { line, log });
    if shown.is_err() {
        log("(out of memory)");
    }
}

/// Logs a [`View`](crate::collect::View), such as a map or a histogram, with one `pr_info!` per
/// line. `log!(&map)` logs all entries, `log!(&map, 10)` up to ten. A [`CountMap`](crate::CountMap)
/// or [`HistogramMap`](crate::HistogramMap) logs the largest counts first; a [`Map`](crate::Map)
/// has no order. Variables that [`probes!`](crate::probes) declares by `let` need no `&`.
///
/// ```text
/// opens: [bash]: 21
/// opens: [systemd]: 3
/// opens: dropped: 2
/// ```
///
/// `pr_info!` prefixes each line with the name of the module, here `opens`. The last line is the
/// result of `dropped()`, unless that is 0. Lines are truncated to 512 bytes.
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

/// What [`Files::switch`] can enable and disable: a probe or a set of probes.
pub trait Switch: Send + Sync + 'static {
    /// Returns whether the probe, or any probe of the set, is enabled.
    fn is_on(&self) -> bool;

    /// Enables or disables the probe or the set.
    ///
    /// Errors: those of [`Registered::enable`] and [`Registered::disable`].
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

/// Writes one line: the location and the state of a probe.
fn state<K: Kind>(probe: &Registered<K>, form: Form, out: &mut dyn fmt::Write) -> fmt::Result {
    let (place, mechanism) = (probe.location(), probe.mechanism().name());
    let (enabled, gone, missed) = (probe.is_enabled(), probe.is_gone(), probe.missed());
    if form == Form::Json {
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

/// Shows the location, the mechanism, the state and the misses on a line.
impl<K: Kind, H: Handles<K>> View for Probe<K, H>
where
    Self: 'static,
{
    #[inline]
    fn show(&self, form: Form, _most: usize, out: &mut dyn fmt::Write) -> fmt::Result {
        state(self, form, out)
    }
}

/// Shows each probe on a line, in the format of a single probe.
impl<K: Kind, H: Handles<K>> View for Set<K, H>
where
    Self: 'static,
{
    #[inline]
    fn show(&self, form: Form, most: usize, out: &mut dyn fmt::Write) -> fmt::Result {
        self.iter()
            .take(most)
            .try_for_each(|(_, probe)| state(probe, form, out))
    }
}

/// Shows each probe on a line: as in a set if the probe is registered, otherwise only its state.
/// The last line of the text has the misses of all registrations.
impl<K: Kind, H: Handles<K>> View for Pending<K, H>
where
    Self: 'static,
{
    fn show(&self, form: Form, most: usize, out: &mut dyn fmt::Write) -> fmt::Result {
        for (index, now) in (0..most).map_while(|index| Some((index, self.state(index)?))) {
            let shown = self.with(index, |probe| state(probe, form, out));
            shown.unwrap_or_else(|| match form {
                Form::Text => writeln!(out, "{now:?}"),
                Form::Json => writeln!(out, "{{\"state\":\"{now:?}\"}}"),
            })?;
        }
        match form {
            Form::Text => writeln!(out, "{} missed in total", self.missed()),
            Form::Json => Ok(()),
        }
    }
}

impl View for Count {
    #[inline]
    fn show(&self, _form: Form, _most: usize, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "{}", self.get())
    }
}

/// Shows each counter on a line.
impl<const N: usize> View for PerCpuCounts<N> {
    #[inline]
    fn show(&self, _form: Form, _most: usize, out: &mut dyn fmt::Write) -> fmt::Result {
        (0..N).try_for_each(|n| writeln!(out, "{}", self.get(n)))
    }
}

/// Adds files to the debugfs directory of a [`Scope`](kernel::debugfs::Scope), which owns the data
/// that the files show. Dropping the scope removes the directory. Without `CONFIG_DEBUG_FS`, the
/// methods do nothing.
///
/// # Examples
///
/// The files `state`, `by_comm` and `enabled` in `/sys/kernel/debug/opens/`:
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
    /// Adds two files that show `view`: `NAME` as text, and `NAME.json` as JSON lines. Any write to
    /// `NAME`, as `echo >NAME`, [clears](View::clear) `view`. For a [`CountMap`](crate::CountMap):
    ///
    /// ```text
    /// # cat by_comm
    /// [bash]: 21
    /// # cat by_comm.json
    /// {"key":"bash","count":21}
    /// {"dropped":0}
    /// ```
    ///
    /// Context: process context; it sleeps.
    fn view<V: View>(&self, name: &CStr, view: &'data V);

    /// Adds a file that reads as 1 if `switch` is enabled, otherwise as 0. Writing 1 or 0 enables
    /// or disables `switch`.
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
            &|view: &V, f: &mut fmt::Formatter<'_>| view.show(Form::Text, usize::MAX, f),
            &|view: &V, _: &mut UserSliceReader| view.clear(),
        );
        if let Ok(name) = CString::try_from_fmt(kernel::prelude::fmt!("{name}.json")) {
            self.read_callback_file(&name, view, &|view: &V, f: &mut fmt::Formatter<'_>| {
                view.show(Form::Json, usize::MAX, f)
            });
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
                switch.turn(kstrtobool_bytes(&text)?)
            },
        );
    }
}
