// SPDX-License-Identifier: GPL-2.0

//! Logs the calls of the kernel functions that its parameter names.
//!
//! # The parameter
//!
//! `probes` holds probe definitions in a subset of the syntax of tracefs's `kprobe_events`, with
//! `w` added, separated by `;`; `rust_kprobe/definition.rs` has the grammar. By default, the module
//! probes `kernel_clone`: before and after its first instruction, and at its return.
//!
//! | definition | when its handler runs |
//! |---|---|
//! | `p[:NAME] [MODULE:]SYMBOL[+OFFSET]` | before that instruction |
//! | `r[MAXACTIVE][:NAME] [MODULE:]SYMBOL[+OFFSET] [$retval:TYPE]` | at the return of the function that begins there, for up to MAXACTIVE calls in flight (1 to 4096; default: 10, or twice the number of CPUs if that is more) |
//! | `p:NAME 0xADDRESS`, `r[MAXACTIVE]:NAME 0xADDRESS` | the same at an address of `/proc/kallsyms`, for one of several functions with the same name |
//! | `pw` or `r[MAXACTIVE]w` instead, with a MODULE | the same, but if the module is not loaded, the probe is pending: it is registered when the module is loaded, before the module's init runs. In tracefs, each definition with a MODULE waits, so a misspelt MODULE is accepted |
//!
//! ```text
//! insmod rust_kprobe.ko probes='"p:open do_sys_openat2; r:opened do_sys_openat2"'
//! insmod rust_kprobe.ko probes=p:open,do_sys_openat2
//! ```
//!
//! The kernel requires the inner quotes around a value with spaces. insmod of kmod 34 (Debian 13)
//! adds them; insmod of kmod 30 (Debian 12) does not. Commas instead of spaces need no quotes.
//!
//! A `p` without an offset is an entry probe, whose hit costs a third as much as a kprobe's. The
//! module registers a kprobe instead for `pw`, if ftrace cannot trace the function, or if an entry
//! probe would slow down another tracer or another definition of the same function.
//!
//! # Log lines
//!
//! A line has the prefix `rust_kprobe: NAME: ` and one of these texts:
//!
//! | line | when |
//! |---|---|
//! | `pending, module not loaded` | on load, if the module of a definition with `w` is not loaded |
//! | `registered p at SYMBOL+OFFSET ADDRESS by ftrace` | on load, and each time that the module of a definition with `w` is loaded. `p` or `r` is the kind; ADDRESS is hashed, like `%p`; `entry`, `ftrace`, `jump` or `breakpoint` is the mechanism |
//! | `pre pid=PID cpu=CPU comm="COMM"` | before the instruction; PID is the thread's |
//! | `post pid=PID cpu=CPU comm="COMM"` | after the instruction; only for the default probe |
//! | `return pid=PID cpu=CPU comm="COMM" ret=RESULT ns=DURATION` | at the return |
//! | `probed module unloaded` | the probed module was unloaded |
//! | `N lines suppressed` | before the next line; a probe logs at most 100 lines in 5 seconds, but counts all hits |
//! | `unregistered, HITS hits, MISSED missed, N lines suppressed` | on unload; `, gone` follows if the probed module was unloaded. A call from a handler of the same sort (entry probe; kprobe or return probe), or beyond MAXACTIVE, counts as missed, not as a hit |
//!
//! TYPE determines the form of RESULT: `-2 (ENOENT)` for `$retval:s32`. Without TYPE, RESULT is the
//! value in decimal and, as it is in the register, in hex: `158 (0x9e)`. An errno has its name,
//! too: `-2 (0xfffffffe, ENOENT)`. Any other value of 2^22 or more is logged as `hidden (HASH)`,
//! because it may be a kernel address or a part of one.
//!
//! While the module is loaded, `/sys/kernel/debug/rust_kprobe/NAME` shows the state and the hits of
//! the probe NAME, and `NAME.json` shows them as JSON lines.
//!
//! When a probed module is unloaded, its probes are gone. Probes with `w` are registered again when
//! the module is loaded again.
//!
//! # Errors
//!
//! If a definition is refused, insmod fails and no probe stays registered. One line names the
//! definition, the column and the reason:
//!
//! ```text
//! rust_kprobe: probes: definition 2 "r:x no_such_function", column 5: no such symbol (ENOENT)
//! ```
//!
//! | errno | reason |
//! |---|---|
//! | `ENOENT` | no such symbol, or its module is not loaded. If the symbol is missing, a second line names what may be meant, or the command that lists similar symbols |
//! | `EILSEQ` | the offset is not the start of an instruction (`EINVAL` on arm64) |
//! | `EINVAL` | a syntax error, or a place that cannot be probed: NOKPROBE, noinstr, not in text; for `r`, not the entry of a function that ftrace knows |
//! | `EADDRNOTAVAIL` | several functions that ftrace knows have that name |
//! | `ENOSPC` | the parameter is longer than 4096 characters |
//! | `EEXIST` | the parameter is given twice |
//!
//! `TROUBLESHOOTING.md` lists the error strings that insmod prints.

#[path = "rust_kprobe/definition.rs"]
mod definition;
#[path = "rust_kprobe/report.rs"]
mod report;

use definition::{
    Definition,
    Kind,
    Mistake,
    Type,
    MAX_LEN, //
};
use kernel::{
    bindings,
    debugfs::Scope,
    prelude::*,
    str::CString,
    sync::Arc, //
};
use kprobes::{
    collect::{Files, Form, View},
    entry, kprobe, kretprobe, module,
    pending::State,
    probe::{self, Probe},
    timed, Entry, Kprobe, ModuleWatch, Pending, Target, Timed,
};
use report::Report;

module! {
    type: RustKprobe,
    name: "rust_kprobe",
    authors: ["The rust_kprobe authors"],
    description: "Logs hits of the kernel functions that its parameter names",
    license: "GPL",
}

kprobes::string_param!(
    probes,
    "p[w][:NAME] PLACE or r[MAXACTIVE][w][:NAME] PLACE [$retval:TYPE], several separated by ';', \
     where PLACE is [MODULE:]SYMBOL[+OFFSET] or 0xADDRESS, and w waits for MODULE. Default: \
     kernel_clone before, after and at return",
    MAX_LEN
);

#[vtable]
impl kprobe::Handler for Report {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        self.count();
        self.hit("pre", cx);
    }

    fn unregistered(&self, missed: u64) {
        self.finish(missed);
    }
}

#[vtable]
impl entry::Handler for Report {
    fn entry(&self, cx: &entry::Context<'_>) {
        self.count();
        self.hit("pre", cx);
    }

    fn unregistered(&self, missed: u64) {
        self.finish(missed);
    }
}

#[vtable]
impl timed::Handler for Report {
    type Data = ();

    fn ret(&self, cx: &timed::ReturnContext<'_>, (): (), ns: u64) {
        self.count();
        self.returned(cx, ns);
    }

    fn unregistered(&self, missed: u64) {
        self.finish(missed);
    }
}

/// Logs before and after the probed instruction.
#[pin_data]
struct Around {
    #[pin]
    report: Report,
}

#[vtable]
impl kprobe::Handler for Around {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        kprobe::Handler::pre(&self.report, cx);
    }

    fn post(&self, cx: &kprobe::PostContext<'_>) {
        self.report.hit("post", cx);
    }

    fn unregistered(&self, missed: u64) {
        self.report.finish(missed);
    }
}

impl AsRef<Report> for Around {
    fn as_ref(&self) -> &Report {
        &self.report
    }
}

/// A probe of any kind, with its files in debugfs.
trait Registered: View {
    fn report(&self) -> &Report;

    /// Logs that the probe is registered or pending.
    fn announce(&self);

    /// Logs if the probe is gone.
    fn report_gone(&self);
}

impl<K: probe::Kind, H: probe::Handles<K> + AsRef<Report>> Registered for Probe<K, H>
where
    Self: View,
{
    fn report(&self) -> &Report {
        self.handler().as_ref()
    }

    fn announce(&self) {
        self.report().registered(self.address(), self.mechanism());
    }

    fn report_gone(&self) {
        if self.is_gone() {
            self.report().gone(false);
        }
    }
}

impl<K: probe::Kind, H: probe::Handles<K> + AsRef<Report>> Registered for Pending<K, H> {
    fn report(&self) -> &Report {
        self.handler().as_ref()
    }

    fn announce(&self) {
        match self.with(0, |probe| (probe.address(), probe.mechanism())) {
            Some((at, by)) => self.report().registered(at, by),
            None => self.report().waits(),
        }
    }

    fn report_gone(&self) {
        if self.state(0) == Some(State::Gone) {
            self.report().gone(true);
        }
    }
}

struct AnyProbe(Arc<dyn Registered>);

/// Shows the probe (address, mechanism, state, missed) and its hits.
impl View for AnyProbe {
    fn show(&self, form: Form, most: usize, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        self.0.show(form, most, out)?;
        let hits = self.0.report().hits();
        match form {
            Form::Text => writeln!(out, "{hits} hits"),
            Form::Json => writeln!(out, "{{\"hits\":{hits}}}"),
        }
    }
}

fn before(name: CString, target: Target<'_>) -> Result<AnyProbe> {
    let options = kprobe::Options::default().quiet();
    let probe = Kprobe::with_options(target, options, Report::new("p", name, None));
    Ok(AnyProbe(Arc::pin_init(probe, GFP_KERNEL)?))
}

fn around(name: CString, target: Target<'_>) -> Result<AnyProbe> {
    let handler = try_pin_init!(Around { report <- Report::new("p", name, None) });
    Ok(AnyProbe(Arc::pin_init(
        Kprobe::new(target, handler),
        GFP_KERNEL,
    )?))
}

/// Fails if another tracer is attached to the function, because the entry probe would slow it down.
fn at_entry(name: CString, target: Target<'_>) -> Result<AnyProbe> {
    let exclusive = entry::Options::default().exclusive().quiet();
    let probe = Entry::with_options(target, exclusive, Report::new("p", name, None));
    Ok(AnyProbe(Arc::pin_init(probe, GFP_KERNEL)?))
}

fn at_return(
    name: CString,
    target: Target<'_>,
    max_active: u16,
    result: Option<Type>,
) -> Result<AnyProbe> {
    let options = kretprobe::Options::default().max_active(max_active).quiet();
    let probe = Timed::with_options(target, options, Report::new("r", name, result));
    Ok(AnyProbe(Arc::pin_init(probe, GFP_KERNEL)?))
}

/// Registers `definition`, one of `all`, as the cheapest kind of probe that implements it.
fn define(definition: &Definition<'_>, at: Target<'_>, all: &[Definition<'_>]) -> Result<AnyProbe> {
    if at.is_unique() == Ok(false) {
        // tracefs returns the same errno.
        return Err(Error::from_errno(-(bindings::EADDRNOTAVAIL as c_int)));
    }
    let place = at.offset(definition.offset);
    let name = || CString::try_from_fmt(format_args!("{}", definition.name()));
    match definition.kind {
        // ftrace may not know the function, and then it is too late to register a kprobe instead.
        Kind::Probe if definition.waits => {
            let (targets, report) = ([place], Report::new("p", name()?, None));
            let options = kprobe::Options::default().quiet();
            let probe = Pending::<kprobe::Kind, _>::with_options(&targets, options, report);
            Ok(AnyProbe(Arc::pin_init(probe, GFP_KERNEL)?))
        }
        Kind::Return { max_active } if definition.waits => {
            let (targets, report) = ([place], Report::new("r", name()?, definition.result));
            let options = timed::Options::default().max_active(max_active).quiet();
            let probe = Pending::<timed::Kind, _>::with_options(&targets, options, report);
            Ok(AnyProbe(Arc::pin_init(probe, GFP_KERNEL)?))
        }
        Kind::Probe if definition.may_be_at_entry(all) => {
            // If the kprobe fails, too, its errno is the one to report.
            at_entry(name()?, at).or_else(|error| match error {
                ENOENT => Err(error),
                _ => before(name()?, at),
            })
        }
        Kind::Probe => before(name()?, place),
        Kind::Return { max_active } => at_return(name()?, place, max_active, definition.result),
    }
}

/// All probes, in the order in which they are unregistered.
struct Probes(KVec<AnyProbe>);

impl Probes {
    fn report_gone(&self) {
        self.0.iter().for_each(|probe| probe.0.report_gone());
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.report_gone();
    }
}

/// Logs when a module with probes is loaded or unloaded.
struct Modules(Arc<Probes>);

#[vtable]
impl module::Handler for Modules {
    fn gone(&self) {
        self.0.report_gone();
    }

    fn loaded(&self, _module: &CStr) {
        self.0 .0.iter().for_each(|probe| probe.0.announce());
    }
}

struct RustKprobe {
    /// `/sys/kernel/debug/rust_kprobe/NAME`
    _files: Pin<KBox<Scope<Arc<Probes>>>>,
    _watch: Pin<KBox<ModuleWatch<Modules>>>,
    _probes: Arc<Probes>,
}

impl kernel::Module for RustKprobe {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let all = match probes.value() {
            Some(definitions) => register(definitions.to_bytes())?,
            None => defaults()?,
        };
        let _probes = Arc::new(Probes(all), GFP_KERNEL)?;
        let watch = ModuleWatch::new(Modules(_probes.clone()));
        let _watch = KBox::pin_init(watch, GFP_KERNEL)?;
        _probes.0.iter().for_each(|probe| probe.0.announce());
        // Before the watch was registered, a probed module may have been unloaded.
        _probes.report_gone();
        let files = Scope::dir(_probes.clone(), c"rust_kprobe", |all, files| {
            for probe in all.0.iter() {
                files.view(probe.0.report().name(), probe);
            }
        });
        Ok(Self {
            _files: KBox::pin_init(files, GFP_KERNEL)?,
            _watch,
            _probes,
        })
    }
}

fn defaults() -> Result<KVec<AnyProbe>> {
    let target = Target::symbol(c"kernel_clone");
    let mut all = KVec::with_capacity(2, GFP_KERNEL)?;
    all.push(around(c"clone".try_into()?, target)?, GFP_KERNEL)?;
    all.push(
        at_return(c"cloned".try_into()?, target, 0, None)?,
        GFP_KERNEL,
    )?;
    Ok(all)
}

/// Registers all definitions. If one is refused, logs it and unregisters the others.
fn register(parameter: &[u8]) -> Result<KVec<AnyProbe>> {
    let refuse = |n, text, column, reason, errno| {
        report::bad_definition(n, text, column, reason, errno);
        errno
    };
    // Parse all before registering the first.
    let mut definitions: KVec<Definition<'_>> = KVec::new();
    for (n, text) in definition::split(parameter).enumerate() {
        let refuse = |m: Mistake| refuse(n + 1, text, m.column, m.reason, EINVAL);
        let definition = definition::parse(text).map_err(refuse)?;
        definition.distinct_from(&definitions).map_err(refuse)?;
        definitions.push(definition, GFP_KERNEL)?;
    }

    if definitions.is_empty() {
        return Err(refuse(1, b"", 1, "no definition", EINVAL));
    }

    let mut all = KVec::with_capacity(definitions.len(), GFP_KERNEL)?;
    for ((n, text), definition) in definition::split(parameter).enumerate().zip(&definitions) {
        let symbol = CString::try_from_fmt(fmt!("{}", definition.symbol))?;
        let target = match definition.address {
            Some(address) => Target::address(address),
            None => Target::symbol(&symbol),
        };
        let probe = define(definition, target, &definitions).inspect_err(|&errno| {
            let reason = match definition.kind {
                _ if target.is_unique() == Ok(false) => report::SEVERAL,
                Kind::Return { .. } => target.reason::<timed::Kind>(errno),
                Kind::Probe => target.reason::<kprobe::Kind>(errno),
            };
            let reason = reason.to_str().unwrap_or_default();
            refuse(n + 1, text, definition.symbol_column, reason, errno);
            if errno == ENOENT {
                target.hint();
            }
        })?;
        all.push(probe, GFP_KERNEL)?;
    }
    Ok(all)
}
