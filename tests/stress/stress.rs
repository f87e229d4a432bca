// SPDX-License-Identifier: GPL-2.0

//! `/dev/stress`, through which a program creates and controls probes.
//!
//! What is written are the names of targets, one a line. An ioctl makes a
//! probe, or a set, of what was written last; others ask it, toggle it or drop
//! it. Each open file has probes of its own; the threads that share a file
//! share them, and use them at the same time. `tests/inside/stress.py` is the
//! program.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use kernel::{
    fs::{File, Kiocb},
    ioctl::_IO,
    iov::IovIterSource,
    miscdevice::{MiscDevice, MiscDeviceOptions, MiscDeviceRegistration},
    new_mutex,
    prelude::*,
    str::CStr,
    sync::{Arc, Mutex},
    uaccess::{UserPtr, UserSlice},
};
use kprobes::{
    entry, kprobe, kretprobe, nofault::UserStr, tracepoint, AtEntry, Context, Count, Entry,
    EntrySet, Kprobe, KprobeSet, Kretprobe, KretprobeSet, Post, Probe, Refusal, Return, Target,
    Trace, Tracepoint,
};

module! {
    type: Stress,
    name: "stress",
    authors: ["The rust_kprobe authors"],
    description: "Lets a program create and control probes",
    license: "GPL",
}

/// `targets.c`.
mod targets {
    use kernel::prelude::*;

    // The declarations of `targets.h`; the functions take any value.
    unsafe extern "C" {
        pub(super) safe fn stress_call(which: c_uint, times: c_ulong) -> c_int;
        pub(super) safe fn stress_count(which: c_uint) -> u64;
        pub(super) safe fn stress_inner(value: u64) -> u64;
        pub(super) safe fn stress_sleep(ms: c_uint) -> c_long;
        pub(super) safe fn stress_timers(on: bool);
        /// Does not dereference the address.
        pub(super) safe fn stress_user(string: usize) -> u64;
    }
}

/// Counts hits.
#[derive(Default)]
struct Before(Count);

#[vtable]
impl kprobe::Handler for Before {
    fn pre(&self, _cx: &Context<'_>) {
        self.0.add(1);
    }
}

/// Counts hits before and after the instruction.
#[derive(Default)]
struct Around {
    before: Count,
    after: Count,
}

#[vtable]
impl kprobe::Handler for Around {
    fn pre(&self, _cx: &Context<'_>) {
        self.before.add(1);
    }

    fn post(&self, _cx: &Context<'_, Post>) {
        self.after.add(1);
    }
}

/// Calls a function that is probed.
#[derive(Default)]
struct Nested(Count);

#[vtable]
impl kprobe::Handler for Nested {
    fn pre(&self, _cx: &Context<'_>) {
        self.0.add(1);
        targets::stress_inner(self.0.get());
    }
}

impl entry::Handler for Before {
    fn entry(&self, _cx: &Context<'_, AtEntry>) {
        self.0.add(1);
    }
}

impl entry::Handler for Nested {
    fn entry(&self, _cx: &Context<'_, AtEntry>) {
        self.0.add(1);
        targets::stress_inner(self.0.get());
    }
}

/// Counts the hits of all functions, and those of `stress_exact()`.
struct Picks {
    all: Count,
    picked: Count,
    address: usize,
    /// Its index in the set.
    index: AtomicUsize,
}

impl Picks {
    fn new() -> Result<Self> {
        let exact = Target::symbol(c"stress:stress_exact");
        let probe = KBox::pin_init(Entry::new(exact, Before::default()), GFP_KERNEL)?;
        Ok(Self {
            all: Count::new(),
            picked: Count::new(),
            address: probe.address().as_usize(),
            index: AtomicUsize::new(0),
        })
    }
}

impl entry::Handler for Picks {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        self.all.add(1);
        if cx.address().as_usize() == self.address {
            self.picked.add(1);
            self.index.store(cx.index(), Relaxed);
        }
    }
}

/// Reads a string of 32 equal letters, which another thread replaces by another
/// letter, or unmaps.
#[derive(Default)]
struct Reader {
    hits: Count,
    faults: Count,
    wrong: Count,
}

#[vtable]
impl kprobe::Handler for Reader {
    fn pre(&self, cx: &Context<'_>) {
        self.hits.add(1);
        let mut buf = [0; 40];
        match cx.arg::<UserStr>(0).read(&mut buf) {
            Ok(text) => {
                // The page may have just been mapped and be zero.
                let text = text.as_bytes();
                let letters = text.iter().all(|&b| b == b'A' || b == b'B');
                if !letters || text.len() > 32 {
                    self.wrong.add(1);
                }
            }
            Err(EFAULT) => self.faults.add(1),
            Err(_) => self.wrong.add(1),
        }
    }
}

/// Follows calls from the entry to the return, and checks the data.
#[derive(Default)]
struct Followed {
    entries: Count,
    returns: Count,
    wrong: Count,
    serial: AtomicU64,
}

#[derive(Clone, Copy)]
struct Call {
    pid: i32,
    serial: u64,
}

#[vtable]
impl kretprobe::Handler for Followed {
    type Data = Call;

    fn entry(&self, cx: &Context<'_>) -> Option<Call> {
        self.entries.add(1);
        Some(Call {
            pid: cx.pid(),
            serial: self.serial.fetch_add(1, Relaxed),
        })
    }

    fn ret(&self, cx: &Context<'_, Return>, call: Call) {
        self.returns.add(1);
        if call.pid != cx.pid() || call.serial >= self.serial.load(Relaxed) {
            self.wrong.add(1);
        }
    }
}

/// Counts what a tracepoint says.
#[derive(Default)]
struct Traced(Count);

impl tracepoint::Handler for Traced {
    type Args = ();

    fn hit(&self, _cx: &Context<'_, Trace>, (): ()) {
        self.0.add(1);
    }
}

/// A probe, of whatever kind. A thread that uses it keeps it from being
/// dropped.
#[derive(Clone)]
enum Held {
    Before(Arc<Kprobe<Before>>),
    Around(Arc<Kprobe<Around>>),
    Nested(Arc<Kprobe<Nested>>),
    Reader(Arc<Kprobe<Reader>>),
    Followed(Arc<Kretprobe<Followed>>),
    Set(Arc<KprobeSet<Before>>),
    ReturnSet(Arc<KretprobeSet<Followed>>),
    Traced(Arc<Tracepoint<Traced>>),
    Entry(Arc<Entry<Before>>),
    EntrySet(Arc<EntrySet<Before>>),
    EntryNested(Arc<Entry<Nested>>),
    Matching(Arc<EntrySet<Picks>>),
}

/// What can be queried. `stress.py` has the same numbers.
#[derive(Clone, Copy)]
enum Asked {
    Hits = 0,
    Missed = 1,
    Returns = 2,
    Wrong = 3,
    Faults = 4,
    Optimized = 5,
}

impl Asked {
    const ALL: [Self; 6] = [
        Self::Hits,
        Self::Missed,
        Self::Returns,
        Self::Wrong,
        Self::Faults,
        Self::Optimized,
    ];
}

impl Followed {
    fn ask(&self, what: Asked) -> Option<u64> {
        match what {
            Asked::Hits => Some(self.entries.get()),
            Asked::Returns => Some(self.returns.get()),
            Asked::Wrong => Some(self.wrong.get()),
            _ => None,
        }
    }
}

impl Held {
    /// Returns the probe, if it is not a set.
    fn probe(&self) -> Option<&Probe> {
        match self {
            Self::Before(p) => Some(p),
            Self::Around(p) => Some(p),
            Self::Nested(p) => Some(p),
            Self::Reader(p) => Some(p),
            Self::Followed(p) => Some(p),
            _ => None,
        }
    }

    /// Returns the entry probe, if it is one and not a set.
    fn entry(&self) -> Option<&entry::Probe> {
        match self {
            Self::Entry(p) => Some(p),
            Self::EntryNested(p) => Some(p),
            _ => None,
        }
    }

    fn ask(&self, what: Asked) -> Option<u64> {
        match (self, what) {
            (Self::Before(p), Asked::Hits) => Some(p.handler().0.get()),
            (Self::Around(p), Asked::Hits) => Some(p.handler().before.get()),
            (Self::Around(p), Asked::Returns) => Some(p.handler().after.get()),
            (Self::Nested(p), Asked::Hits) => Some(p.handler().0.get()),
            (Self::Reader(p), Asked::Hits) => Some(p.handler().hits.get()),
            (Self::Reader(p), Asked::Faults) => Some(p.handler().faults.get()),
            (Self::Reader(p), Asked::Wrong) => Some(p.handler().wrong.get()),
            (Self::Traced(p), Asked::Hits) => Some(p.handler().0.get()),
            (Self::Set(set), Asked::Hits) => Some(set.handler().0.get()),
            (Self::Set(set), Asked::Missed) => Some(sum(set.iter())),
            (Self::ReturnSet(set), Asked::Missed) => Some(sum(set.iter())),
            (Self::ReturnSet(set), _) => set.handler().ask(what),
            (Self::Followed(p), Asked::Hits | Asked::Returns | Asked::Wrong) => {
                p.handler().ask(what)
            }
            (Self::Entry(p), Asked::Hits) => Some(p.handler().0.get()),
            (Self::EntryNested(p), Asked::Hits) => Some(p.handler().0.get()),
            (Self::Entry(_) | Self::EntryNested(_), Asked::Missed) => Some(self.entry()?.missed()),
            (Self::EntrySet(set), Asked::Hits) => Some(set.handler().0.get()),
            (Self::EntrySet(set), Asked::Missed) => Some(set.missed()),
            (Self::Matching(set), Asked::Hits) => Some(set.handler().all.get()),
            // Of the one function, by its index.
            (Self::Matching(set), Asked::Returns) => Some(set.handler().picked.get()),
            (Self::Matching(set), Asked::Missed) => {
                let index = set.handler().index.load(Relaxed);
                Some(set.get(index)?.missed())
            }
            // How many there are, and how many of them have left.
            (Self::Matching(set), Asked::Faults) => Some(set.len() as u64),
            (Self::Matching(set), Asked::Wrong) => {
                Some(set.iter().filter(|(_, probe)| probe.is_gone()).count() as u64)
            }
            (_, Asked::Missed) => Some(self.probe()?.missed() as u64),
            (_, Asked::Optimized) => Some(self.probe()?.is_optimized().into()),
            _ => None,
        }
    }

    fn enable(&self, on: bool) -> Result {
        if let Some(probe) = self.entry() {
            return if on { probe.enable() } else { probe.disable() };
        }
        let probe = self.probe().ok_or(EINVAL)?;
        if on {
            probe.enable()
        } else {
            probe.disable()
        }
    }
}

fn sum<'a>(probes: impl Iterator<Item = (usize, &'a Probe)>) -> u64 {
    probes.map(|(_, probe)| probe.missed() as u64).sum()
}

struct Inner {
    /// What was written last, with a NUL for each newline.
    text: KVVec<u8>,
    held: KVec<Option<Held>>,
    /// The index of the target because of which a set was refused.
    refused: usize,
}

#[pin_data]
struct Device {
    #[pin]
    inner: Mutex<Inner>,
}

const CALL: u32 = _IO('k' as u32, 0);
const COUNTED: u32 = _IO('k' as u32, 1);
const TIMERS: u32 = _IO('k' as u32, 2);
const SLEEP: u32 = _IO('k' as u32, 3);
const USER: u32 = _IO('k' as u32, 4);
const ADD: u32 = _IO('k' as u32, 5);
const DROP: u32 = _IO('k' as u32, 6);
const ENABLE: u32 = _IO('k' as u32, 7);
const DISABLE: u32 = _IO('k' as u32, 8);
const ASK: u32 = _IO('k' as u32, 9);
const REFUSED: u32 = _IO('k' as u32, 10);
const LEAK: u32 = _IO('k' as u32, 11);

/// Parses targets: `SYMBOL` or `SYMBOL+OFFSET`, each with a NUL.
fn targets_of(text: &[u8]) -> Result<KVVec<Target<'_>>> {
    let mut targets = KVVec::new();
    for line in text.split_inclusive(|&b| b == 0) {
        // `SYMBOL+OFFSET` is SYMBOL, NUL, `+OFFSET`.
        if let Some(offset) = line.strip_prefix(b"+") {
            let offset = core::str::from_utf8(&offset[..offset.len() - 1]).map_err(|_| EINVAL)?;
            let offset = offset.parse().map_err(|_| EINVAL)?;
            let last: Target<'_> = targets.pop().ok_or(EINVAL)?;
            targets.push(last.offset(offset), GFP_KERNEL)?;
        } else {
            let name = CStr::from_bytes_with_nul(line).map_err(|_| EINVAL)?;
            targets.push(Target::symbol(name), GFP_KERNEL)?;
        }
    }
    Ok(targets)
}

/// Replaces the question at the user address `arg` by its answer: an ioctl can return
/// only an `int`.
fn answer(arg: usize, to: impl FnOnce(usize) -> Result<u64>) -> Result<isize> {
    let word = || UserSlice::new(UserPtr::from_addr(arg), size_of::<u64>());
    let question: u64 = word().reader().read()?;
    word().writer().write(&to(question as usize)?)?;
    Ok(0)
}

impl Device {
    /// Creates a probe of kind `arg & 0xff` from what was written. The rest of `arg`
    /// is the number of calls that a return probe can follow.
    fn add(&self, arg: usize) -> Result<isize> {
        // Do not hold the lock, so that probes can be registered concurrently.
        let text = core::mem::take(&mut self.inner.lock().text);
        let targets = targets_of(&text)?;
        let first = *targets.first().ok_or(EINVAL)?;
        let max_active = (arg >> 8) as u16;
        let refused = Cell::new(0);
        let tell = |refusal: Refusal| {
            refused.set(refusal.target().unwrap_or_default());
            Error::from(refusal)
        };
        let held = match arg & 0xff {
            0 => Arc::pin_init(Kprobe::new(first, Before::default()), GFP_KERNEL).map(Held::Before),
            1 => Arc::pin_init(Kprobe::new(first, Around::default()), GFP_KERNEL).map(Held::Around),
            2 => Arc::pin_init(Kprobe::new(first, Nested::default()), GFP_KERNEL).map(Held::Nested),
            3 => Arc::pin_init(Kprobe::new(first, Reader::default()), GFP_KERNEL).map(Held::Reader),
            4 => Arc::pin_init(
                Kretprobe::with_max_active(first, max_active, Followed::default()),
                GFP_KERNEL,
            )
            .map(Held::Followed),
            5 => Arc::try_pin_init(KprobeSet::new(&targets, Before::default()), GFP_KERNEL)
                .map_err(tell)
                .map(Held::Set),
            6 => Arc::try_pin_init(
                KretprobeSet::new(&targets, max_active, Followed::default()),
                GFP_KERNEL,
            )
            .map_err(tell)
            .map(Held::ReturnSet),
            7 => {
                let name = CStr::from_bytes_until_nul(&text).map_err(|_| EINVAL)?;
                Arc::pin_init(Tracepoint::new(name, Traced::default()), GFP_KERNEL)
                    .map(Held::Traced)
            }
            8 => Arc::pin_init(Entry::new(first, Before::default()), GFP_KERNEL).map(Held::Entry),
            9 => Arc::try_pin_init(EntrySet::new(&targets, Before::default()), GFP_KERNEL)
                .map_err(tell)
                .map(Held::EntrySet),
            10 => Arc::pin_init(Entry::new(first, Nested::default()), GFP_KERNEL)
                .map(Held::EntryNested),
            11 => {
                let pattern = CStr::from_bytes_until_nul(&text).map_err(|_| EINVAL)?;
                Arc::try_pin_init(EntrySet::matching(pattern, Picks::new()?), GFP_KERNEL)
                    .map_err(tell)
                    .map(Held::Matching)
            }
            12 => {
                Arc::pin_init(Entry::alone(first, Before::default()), GFP_KERNEL).map(Held::Entry)
            }
            _ => return Err(EINVAL),
        };
        let mut inner = self.inner.lock();
        inner.refused = refused.get();
        let held = Some(held?);
        let index = match inner.held.iter().position(|h| h.is_none()) {
            Some(index) => {
                inner.held[index] = held;
                index
            }
            None => {
                inner.held.push(held, GFP_KERNEL)?;
                inner.held.len() - 1
            }
        };
        Ok(index as isize)
    }

    fn get(&self, index: usize) -> Result<Held> {
        self.inner
            .lock()
            .held
            .get(index)
            .and_then(|h| h.clone())
            .ok_or(ENOENT)
    }
}

#[vtable]
impl MiscDevice for Device {
    type Ptr = Pin<KBox<Self>>;

    fn open(_file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        KBox::pin_init(
            pin_init!(Self {
                inner <- new_mutex!(Inner {
                    text: KVVec::new(),
                    held: KVec::new(),
                    refused: 0,
                }),
            }),
            GFP_KERNEL,
        )
    }

    fn write_iter(kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterSource<'_>) -> Result<usize> {
        let mut text = KVVec::new();
        let len = iov.copy_from_iter_vec(&mut text, GFP_KERNEL)?;
        for byte in text.iter_mut() {
            if *byte == b'\n' {
                *byte = 0;
            }
        }
        kiocb.file().inner.lock().text = text;
        Ok(len)
    }

    fn ioctl(me: Pin<&Self>, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            // `arg` is the function and the number of calls.
            CALL => {
                kernel::error::to_result(targets::stress_call((arg & 0xff) as u32, arg >> 8))?;
                Ok(0)
            }
            COUNTED => answer(arg, |which| Ok(targets::stress_count(which as u32))),
            TIMERS => {
                targets::stress_timers(arg != 0);
                Ok(0)
            }
            SLEEP => Ok(targets::stress_sleep(arg as u32)),
            USER => {
                targets::stress_user(arg);
                Ok(0)
            }
            ADD => me.add(arg),
            DROP => {
                let held = {
                    let mut inner = me.inner.lock();
                    inner
                        .held
                        .get_mut(arg)
                        .and_then(|h| h.take())
                        .ok_or(ENOENT)?
                };
                // This waits, so the lock is not held.
                drop(held);
                Ok(0)
            }
            ENABLE => me.get(arg)?.enable(true).map(|()| 0),
            DISABLE => me.get(arg)?.enable(false).map(|()| 0),
            ASK => answer(arg, |question| {
                let what = *Asked::ALL.get(question & 0xff).ok_or(EINVAL)?;
                me.get(question >> 8)?.ask(what).ok_or(EINVAL)
            }),
            REFUSED => Ok(me.inner.lock().refused as isize),
            // For testing the harness, which must report what is leaked.
            LEAK => {
                for _ in 0..arg {
                    core::mem::forget(KVec::<u8>::with_capacity(200, GFP_KERNEL)?);
                }
                Ok(0)
            }
            _ => Err(ENOTTY),
        }
    }
}

#[pin_data(PinnedDrop)]
struct Stress {
    #[pin]
    device: MiscDeviceRegistration<Device>,
}

impl kernel::InPlaceModule for Stress {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            device <- MiscDeviceRegistration::register(MiscDeviceOptions { name: c"stress" }),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Stress {
    fn drop(self: Pin<&mut Self>) {
        targets::stress_timers(false);
    }
}
