// SPDX-License-Identifier: GPL-2.0

//! Logs what runs at the kernel functions that its user names.
//!
//! `insmod rust_kprobe.ko probes='"p:open do_sys_openat2; r:opened do_sys_openat2"'`
//!
//! README.md says what the lines mean; `rust_kprobe/definition.rs` is the
//! language of the parameter, and `rust_kprobe/report.rs` has every line that
//! is printed.

#[path = "rust_kprobe/definition.rs"]
mod definition;
#[path = "rust_kprobe/report.rs"]
mod report;

use definition::{
    Definition,
    Kind, //
};
use kernel::{
    prelude::*,
    str::CString, //
};
use kprobes::{
    Context,
    Handler,
    Kprobe,
    Kretprobe,
    Post,
    Return,
    ReturnHandler,
    Target, //
};
use report::Report;

module! {
    type: RustKprobe,
    name: "rust_kprobe",
    authors: ["The rust_kprobe authors"],
    description: "Logs what runs at the kernel functions that its user names",
    license: "GPL",
}

kprobes::string_param!(
    probes,
    "p[:NAME] [MODULE:]SYMBOL[+OFFSET] or r[MAXACTIVE][:NAME] [MODULE:]SYMBOL, several separated by ';'. Default: kernel_clone before, after and at return"
);

/// Says when the probed instruction is reached.
#[pin_data]
struct Before {
    #[pin]
    report: Report,
}

#[vtable]
impl Handler for Before {
    fn pre(&self, cx: &Context<'_>) {
        self.report.count();
        self.report.hit("pre", cx);
    }

    fn unregistered(&self, missed: usize) {
        self.report.unregistered(missed);
    }
}

/// Says when the probed instruction is reached, and when it is done.
#[pin_data]
struct Around {
    #[pin]
    report: Report,
}

#[vtable]
impl Handler for Around {
    fn pre(&self, cx: &Context<'_>) {
        self.report.count();
        self.report.hit("pre", cx);
    }

    fn post(&self, cx: &Context<'_, Post>) {
        self.report.hit("post", cx);
    }

    fn unregistered(&self, missed: usize) {
        self.report.unregistered(missed);
    }
}

/// Says what the probed function returned, and how long it took.
#[pin_data]
struct Returned {
    #[pin]
    report: Report,
}

#[vtable]
impl ReturnHandler for Returned {
    /// When the function was entered.
    type Data = u64;

    fn entry(&self, cx: &Context<'_>) -> Option<u64> {
        Some(cx.now_ns())
    }

    fn ret(&self, cx: &Context<'_, Return>, entered: u64) {
        self.report.count();
        self.report
            .returned(cx, cx.now_ns().saturating_sub(entered));
    }

    fn unregistered(&self, missed: usize) {
        self.report.unregistered(missed);
    }
}

/// A registered probe of any kind.
enum Probe {
    Before(Pin<KBox<Kprobe<Before>>>),
    Around(Pin<KBox<Kprobe<Around>>>),
    Returned(Pin<KBox<Kretprobe<Returned>>>),
}

impl Probe {
    fn before(name: CString, target: Target<'_>) -> Result<Self> {
        let handler = try_pin_init!(Before { report <- Report::new(name) });
        let probe = KBox::pin_init(Kprobe::new(target, handler), GFP_KERNEL)?;
        probe.handler().report.registered(
            "p",
            probe.location(),
            probe.address(),
            probe.mechanism(),
        );
        Ok(Self::Before(probe))
    }

    fn around(name: CString, target: Target<'_>) -> Result<Self> {
        let handler = try_pin_init!(Around { report <- Report::new(name) });
        let probe = KBox::pin_init(Kprobe::new(target, handler), GFP_KERNEL)?;
        probe.handler().report.registered(
            "p",
            probe.location(),
            probe.address(),
            probe.mechanism(),
        );
        Ok(Self::Around(probe))
    }

    fn returned(name: CString, target: Target<'_>, max_active: u16) -> Result<Self> {
        let handler = try_pin_init!(Returned { report <- Report::new(name) });
        let probe = KBox::pin_init(
            Kretprobe::with_max_active(target, max_active, handler),
            GFP_KERNEL,
        )?;
        probe.handler().report.registered(
            "r",
            probe.location(),
            probe.address(),
            probe.mechanism(),
        );
        Ok(Self::Returned(probe))
    }

    fn define(definition: &Definition<'_>, name: CString) -> Result<Self> {
        let symbol = CString::try_from_fmt(fmt!("{}", definition.symbol))?;
        let target = Target::symbol(&symbol);
        match definition.kind {
            Kind::Probe { offset } => Self::before(name, target.offset(offset)),
            Kind::Return { max_active } => Self::returned(name, target, max_active),
        }
    }

    fn report(&self) -> &Report {
        match self {
            Self::Before(probe) => &probe.handler().report,
            Self::Around(probe) => &probe.handler().report,
            Self::Returned(probe) => &probe.handler().report,
        }
    }
}

impl Definition<'_> {
    /// The name in the log; where the user gave none, the one that tracefs
    /// would make.
    fn log_name(&self) -> Result<CString> {
        match (self.name, self.kind) {
            (Some(name), _) => CString::try_from_fmt(fmt!("{name}")),
            (None, Kind::Probe { offset }) => {
                CString::try_from_fmt(fmt!("p_{}_{offset}", self.symbol))
            }
            (None, Kind::Return { .. }) => CString::try_from_fmt(fmt!("r_{}_0", self.symbol)),
        }
    }
}

/// The module: its probes, which are unregistered in this order.
struct RustKprobe {
    _probes: KVec<Probe>,
}

impl kernel::Module for RustKprobe {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let _probes = match probes.value() {
            Some(definitions) => register(definitions.to_bytes())?,
            None => defaults()?,
        };
        Ok(Self { _probes })
    }
}

/// What the first insmod shows: `kernel_clone` before, after and at return.
fn defaults() -> Result<KVec<Probe>> {
    let target = Target::symbol(c"kernel_clone");
    let mut all = KVec::with_capacity(2, GFP_KERNEL)?;
    all.push(Probe::around(c"clone".try_into()?, target)?, GFP_KERNEL)?;
    all.push(
        Probe::returned(c"cloned".try_into()?, target, 0)?,
        GFP_KERNEL,
    )?;
    Ok(all)
}

/// Registers every definition, or none: where one fails, the line says which,
/// and the probes before it are dropped.
fn register(definitions: &[u8]) -> Result<KVec<Probe>> {
    if definitions.len() > definition::MAX_LEN {
        report::bad_definition(
            1,
            definitions,
            definition::MAX_LEN + 1,
            "the parameter has at most 4096 characters",
            ENOSPC,
        );
        return Err(ENOSPC);
    }

    let mut all = KVec::new();
    for (n, text) in definition::split(definitions).enumerate() {
        let refuse = |column, reason, errno| {
            report::bad_definition(n + 1, text, column, reason, errno);
            errno
        };
        let definition = definition::parse(text).map_err(|m| refuse(m.column, m.reason, EINVAL))?;
        let name = definition.log_name()?;
        if all
            .iter()
            .any(|probe: &Probe| probe.report().name() == &*name)
        {
            return Err(refuse(1, report::reason(EEXIST), EEXIST));
        }
        let probe = Probe::define(&definition, name)
            .map_err(|e| refuse(definition.symbol_column, report::reason(e), e))?;
        all.push(probe, GFP_KERNEL)?;
    }
    Ok(all)
}
