// SPDX-License-Identifier: GPL-2.0

//! The module's log lines: one function for each format.
//!
//! README.md documents the formats, and `tests/` checks them.

use kernel::{
    bindings,
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
use kprobes::{probe::Mechanism, timed, Address, Context, Count, Place, RateLimit};

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
    hits: Count,
    announced: Atomic<bool>,
    registered: Atomic<bool>,
    gone: Atomic<bool>,
    #[pin]
    limit: RateLimit,
}

impl Report {
    pub(crate) fn new(kind: &'static str, name: CString) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            kind,
            name,
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
            ReturnValue(cx.ret())
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

/// What a function returned: `VALUE (HEX)`, `-ERRNO (HEX, NAME)`, or `hidden (HASH)`.
///
/// The type of the function is not known. One that returns `bool`, `u8` or nothing leaves in the
/// CPU register what was there before, perhaps a kernel address, or a half of one. The log must not
/// have either. So a number is shown only if it is an errno, or as small as a PID.
struct ReturnValue(usize);

impl ReturnValue {
    /// `PID_MAX_LIMIT`.
    const SHOWN: usize = 1 << 22;

    /// Returns the errno, if this is one of a function that returns `long` or `int`.
    ///
    /// After an `int`, the upper half of the CPU register is zero, so some unsigned values below
    /// 2³² are taken for an errno, too.
    fn errno(&self) -> Option<Error> {
        let signed = match u32::try_from(self.0) {
            Ok(int) => int as i32 as isize,
            Err(_) => self.0 as isize,
        };
        // Those of the system calls, and those that the kernel uses inside.
        matches!(-signed, 1..=133 | 512..=531).then(|| Error::from_errno(signed as c_int))
    }
}

impl fmt::Display for ReturnValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if let Some(error) = self.errno() {
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
    let shown = &text[..text.len().min(SHOWN)];
    let more = if shown.len() < text.len() { "..." } else { "" };
    pr_err!(
        "probes: definition {n} \"{}{more}\", column {column}: {reason} ({})\n",
        BStr::from_bytes(shown),
        explain(errno).0
    );
}

/// `probes: there is SYMBOL, WHY`
pub(crate) fn hint(symbol: &CStr, why: &str) {
    pr_err!("probes: there is {symbol}, {why}\n");
}

/// Why a return probe is refused with `EINVAL`.
pub(crate) const NO_FUNCTION: &str = "not the entry of a function that ftrace knows, or NOKPROBE";

/// Returns the name of an errno, and why the kernel refuses a probe with it.
pub(crate) fn explain(errno: Error) -> (&'static str, &'static str) {
    match errno.to_errno().unsigned_abs() {
        bindings::ENOENT => ("ENOENT", "no such symbol"),
        bindings::EILSEQ => ("EILSEQ", "the offset is not the start of an instruction"),
        bindings::EINVAL => (
            "EINVAL",
            "this place cannot be probed: NOKPROBE, notrace, or no code",
        ),
        bindings::ENODEV => ("ENODEV", "the kernel has disabled ftrace after an error"),
        bindings::EOPNOTSUPP => ("EOPNOTSUPP", "this kernel has no return probes"),
        bindings::ENOMEM => ("ENOMEM", "out of memory"),
        _ => ("unknown", "the kernel refused"),
    }
}
