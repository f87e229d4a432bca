// SPDX-License-Identifier: GPL-2.0

//! The module's log lines: one function for each format.
//!
//! `rust_kprobe.rs` documents the formats, and `tests/` checks them.

use kernel::{
    fmt,
    prelude::*,
    str::{
        BStr,
        CString, //
    },
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};
use kprobes::{
    nofault::KernelStr, probe::Mechanism, timed, Address, Context, Count, Place, RateLimit,
};

use crate::definition::Type;

/// A probe may log this many lines in each interval.
const BURST: u32 = 100;
const INTERVAL_MS: u32 = 5_000;

/// The maximum length of a definition in a log line.
const SHOWN: usize = 80;

/// Reports on one probe: its name, its hits, and its rate limit.
#[pin_data]
pub(crate) struct Report {
    kind: &'static str,
    name: CString,
    result: Option<Type>,
    hits: Count,
    announced: Atomic<bool>,
    registered: Atomic<bool>,
    gone: Atomic<bool>,
    #[pin]
    limit: RateLimit,
}

impl Report {
    /// `result` is the type of what `kind` "r" reports.
    pub(crate) fn new(
        kind: &'static str,
        name: CString,
        result: Option<Type>,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            kind,
            name,
            result,
            hits: Count::new(),
            announced: Atomic::new(false),
            registered: Atomic::new(false),
            gone: Atomic::new(false),
            limit <- RateLimit::new(INTERVAL_MS, BURST),
        })
    }

    /// `NAME: waits for its module`
    ///
    /// Once.
    pub(crate) fn waits(&self) {
        if !self.announced.xchg(true, Relaxed) {
            pr_info!("{}: waits for its module\n", &*self.name);
        }
    }

    /// `NAME: registered KIND at SYMBOL+OFFSET ADDRESS by MECHANISM`
    ///
    /// Once, and whenever its module has been loaded again.
    pub(crate) fn registered(&self, at: Option<Address>, by: Mechanism) {
        let Some(at) = at else { return };
        self.announced.store(true, Relaxed);
        if self.registered.xchg(true, Relaxed) {
            return;
        }
        self.gone.store(false, Relaxed);
        pr_info!(
            "{}: registered {} at {} {at} by {}\n",
            &*self.name,
            self.kind,
            at.location(),
            by.name()
        );
    }

    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }

    pub(crate) fn hits(&self) -> u64 {
        self.hits.get()
    }

    /// Counts a hit, which may log several lines.
    pub(crate) fn count(&self) {
        self.hits.add(1);
    }

    /// `NAME: WHEN pid=PID cpu=CPU comm="COMM"`
    pub(crate) fn hit<At: Place>(&self, when: &str, cx: &Context<'_, At>) {
        self.say(fmt!(
            "{when} pid={} cpu={} comm={:?}",
            cx.pid(),
            cx.cpu(),
            cx.comm()
        ));
    }

    /// `NAME: return pid=PID cpu=CPU comm="COMM" ret=RESULT ns=DURATION`
    pub(crate) fn returned(&self, cx: &timed::ReturnContext<'_>, ns: u64) {
        self.say(fmt!(
            "return pid={} cpu={} comm={:?} ret={} ns={ns}",
            cx.pid(),
            cx.cpu(),
            cx.comm(),
            ReturnValue(cx.ret(), self.result)
        ));
    }

    /// `NAME: N lines suppressed` and the line itself, or nothing.
    fn say(&self, line: fmt::Arguments<'_>) {
        let Some(suppressed) = self.limit.pass() else {
            return;
        };
        if suppressed != 0 {
            pr_info!("{}: {suppressed} lines suppressed\n", &*self.name);
        }
        pr_info!("{}: {line}\n", &*self.name);
    }

    /// `NAME: gone, its module has left`
    ///
    /// Once, if the probe was reported as registered, until it is again.
    pub(crate) fn gone(&self, comes_back: bool) {
        // The module's exit and its watch may both see at once that the probe is gone.
        if self.announced.load(Relaxed) && !self.gone.xchg(true, Relaxed) {
            self.registered.store(!comes_back, Relaxed);
            pr_info!("{}: gone, its module has left\n", &*self.name);
        }
    }

    /// `NAME: unregistered, HITS hits, MISSED missed, SUPPRESSED lines suppressed`,
    /// and `, gone` if it is.
    ///
    /// Nothing if the probe was not reported as registered or waiting, because another one was
    /// refused.
    pub(crate) fn finish(&self, missed: u64) {
        if !self.announced.load(Relaxed) {
            return;
        }
        pr_info!(
            "{}: unregistered, {} hits, {missed} missed, {} lines suppressed{}\n",
            &*self.name,
            self.hits.get(),
            self.limit.suppressed(),
            if self.gone.load(Relaxed) {
                ", gone"
            } else {
                ""
            }
        );
    }
}

impl AsRef<Report> for Report {
    fn as_ref(&self) -> &Report {
        self
    }
}

/// What a function returned: of a signed type `VALUE` or `-ERRNO (NAME)`, of another the value;
/// without a type `VALUE (HEX)`, `-ERRNO (HEX, NAME)`, or `hidden (HASH)`.
///
/// Without a type, a function that returns `bool`, `u8` or nothing leaves in the
/// CPU register what was there before, perhaps a kernel address, or a half of one. The log must not
/// have either. So a number is shown only if it is an errno, or as small as a PID.
struct ReturnValue(usize, Option<Type>);

impl ReturnValue {
    /// `PID_MAX_LIMIT`.
    const SHOWN: usize = 1 << 22;

    /// Returns the errno, if this is one of a function that returns `long` or `int`.
    ///
    /// After an `int`, the upper half of the CPU register is zero, so some unsigned values below
    /// 2³² are taken for an errno, too.
    fn errno(&self) -> Option<Error> {
        errno(match u32::try_from(self.0) {
            Ok(int) => (int as i32).into(),
            Err(_) => self.0 as i64,
        })
    }
}

fn errno(value: i64) -> Option<Error> {
    // Those of the system calls, and those that the kernel uses inside.
    matches!(-value, 1..=133 | 512..=531).then(|| Error::from_errno(value as c_int))
}

/// Writes a result of that type, which is in the lower bits of the CPU register.
fn write_typed(f: &mut fmt::Formatter<'_>, value: usize, of: Type) -> fmt::Result {
    let cut = |bits| value as u64 & u64::MAX >> (64 - bits);
    match of {
        Type::Unsigned(bits) => f.write_fmt(fmt!("{}", cut(bits))),
        Type::Hex(bits) => f.write_fmt(fmt!("{:#x}", cut(bits))),
        Type::Signed(bits) => {
            let signed = (value as i64) << (64 - bits) >> (64 - bits);
            f.write_fmt(fmt!("{signed}"))?;
            match errno(signed).and_then(|error| error.name()) {
                Some(name) => f.write_fmt(fmt!(" ({})", BStr::from_bytes(name.to_bytes()))),
                None => Ok(()),
            }
        }
        Type::Bool => f.write_str(if cut(8) == 0 { "false" } else { "true" }),
        Type::Pointer => f.write_fmt(fmt!("{}", Address::new(value))),
        Type::Text => f.write_fmt(fmt!("\"{}\"", KernelStr::new(value).show::<256>())),
    }
}

impl fmt::Display for ReturnValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if let Some(of) = self.1 {
            write_typed(f, value, of)
        } else if let Some(error) = self.errno() {
            f.write_fmt(fmt!("{} ({value:#x}", error.to_errno()))?;
            // Without CONFIG_SYMBOLIC_ERRNAME there are no names.
            if let Some(name) = error.name() {
                f.write_fmt(fmt!(", {}", BStr::from_bytes(name.to_bytes())))?;
            }
            f.write_str(")")
        } else if value >= Self::SHOWN {
            f.write_fmt(fmt!("hidden ({})", Address::new(value)))
        } else {
            f.write_fmt(fmt!("{value} ({value:#x})"))
        }
    }
}

/// `probes: definition N "TEXT", column COLUMN: REASON (ERRNO)`
pub(crate) fn bad_definition(n: usize, text: &[u8], column: usize, reason: &str, errno: Error) {
    // An address must not get into the log.
    let address = |at: &[u8]| at[1] == b'0' && matches!(at[0], b' ' | b'\t' | b'\r' | b',');
    let end = text.windows(2).position(address).map_or(SHOWN, |at| at + 2);
    let shown = &text[..text.len().min(end).min(SHOWN)];
    let more = if shown.len() < text.len() { "..." } else { "" };
    pr_err!(
        "probes: definition {n} \"{}{more}\", column {column}: {reason} ({errno:?})\n",
        BStr::from_bytes(shown)
    );
}

pub(crate) const SEVERAL: &CStr =
    c"several functions have this name: take an address of /proc/kallsyms, p:NAME 0xADDRESS";
