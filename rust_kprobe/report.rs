// SPDX-License-Identifier: GPL-2.0

//! The module's log lines, one function for each format. `rust_kprobe.rs` documents the formats.

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

/// The maximum number of lines of a probe in each interval.
const BURST: u32 = 100;
const INTERVAL_MS: u32 = 5_000;

/// The maximum length of a definition in a log line.
const SHOWN: usize = 80;

/// The log lines of one probe: its name, hits and rate limit.
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
    /// `kind` is "p" or "r", and `result` the type of an "r".
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

    /// `NAME: pending, module not loaded`, once.
    pub(crate) fn waits(&self) {
        if !self.announced.xchg(true, Relaxed) {
            pr_info!("{}: pending, module not loaded\n", &*self.name);
        }
    }

    /// `NAME: registered KIND at SYMBOL+OFFSET ADDRESS by MECHANISM`, once, and each time that the
    /// probed module is loaded again.
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

    pub(crate) fn count(&self) {
        self.hits.add(1);
    }

    /// `NAME: WHEN pid=PID cpu=CPU comm="COMM"`
    pub(crate) fn hit<At: Place>(&self, when: &str, cx: &Context<'_, At>) {
        self.log(fmt!(
            "{when} pid={} cpu={} comm={:?}",
            cx.pid(),
            cx.cpu(),
            cx.comm()
        ));
    }

    /// `NAME: return pid=PID cpu=CPU comm="COMM" ret=RESULT ns=DURATION`
    pub(crate) fn returned(&self, cx: &timed::ReturnContext<'_>, ns: u64) {
        self.log(fmt!(
            "return pid={} cpu={} comm={:?} ret={} ns={ns}",
            cx.pid(),
            cx.cpu(),
            cx.comm(),
            ReturnValue(cx.ret(), self.result)
        ));
    }

    /// Logs the line, after `NAME: N lines suppressed` if necessary, unless the rate limit
    /// suppresses it.
    fn log(&self, line: fmt::Arguments<'_>) {
        let Some(suppressed) = self.limit.pass() else {
            return;
        };
        if suppressed != 0 {
            pr_info!("{}: {suppressed} lines suppressed\n", &*self.name);
        }
        pr_info!("{}: {line}\n", &*self.name);
    }

    /// `NAME: probed module unloaded`, once after each registration.
    pub(crate) fn gone(&self, pending: bool) {
        // The module's exit and its watch may call this concurrently.
        if self.announced.load(Relaxed) && !self.gone.xchg(true, Relaxed) {
            self.registered.store(!pending, Relaxed);
            pr_info!("{}: probed module unloaded\n", &*self.name);
        }
    }

    /// `NAME: unregistered, HITS hits, MISSED missed, SUPPRESSED lines suppressed` and `, gone` if
    /// the probe is gone. Logs nothing for a probe that is dropped because another definition was
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

/// The result of a function, as `rust_kprobe.rs` documents it.
///
/// If the function returns `bool`, `u8` or nothing, the other bits of the CPU register are stale
/// and may hold a part of a kernel address, which must not be logged. So without a type, a value is
/// shown only if it is an errno or as small as a PID.
struct ReturnValue(usize, Option<Type>);

impl ReturnValue {
    /// `PID_MAX_LIMIT`.
    const SHOWN: usize = 1 << 22;

    /// Returns the errno of a function that returns `long` or `int`.
    ///
    /// An `int` leaves zero in the upper half of the CPU register, so some unsigned values below
    /// 2³² are taken for an errno, too.
    fn errno(&self) -> Option<Error> {
        errno(match u32::try_from(self.0) {
            Ok(int) => (int as i32).into(),
            Err(_) => self.0 as i64,
        })
    }
}

fn errno(value: i64) -> Option<Error> {
    // Those of `uapi/asm-generic/errno.h` and `linux/errno.h`.
    matches!(-value, 1..=133 | 512..=531).then(|| Error::from_errno(value as c_int))
}

/// Writes the lower bits of the CPU register `value`, as `of` specifies.
fn write_typed(f: &mut fmt::Formatter<'_>, value: usize, of: Type) -> fmt::Result {
    let truncated = |bits| value as u64 & u64::MAX >> (64 - bits);
    match of {
        Type::Unsigned(bits) => f.write_fmt(fmt!("{}", truncated(bits))),
        Type::Hex(bits) => f.write_fmt(fmt!("{:#x}", truncated(bits))),
        Type::Signed(bits) => {
            let signed = (value as i64) << (64 - bits) >> (64 - bits);
            f.write_fmt(fmt!("{signed}"))?;
            match errno(signed).and_then(|error| error.name()) {
                Some(name) => f.write_fmt(fmt!(" ({})", BStr::from_bytes(name.to_bytes()))),
                None => Ok(()),
            }
        }
        Type::Bool => f.write_str(if truncated(8) == 0 { "false" } else { "true" }),
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
            // Without CONFIG_SYMBOLIC_ERRNAME, there are no names.
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
    // Truncate at an address, which must not be logged.
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
