// SPDX-License-Identifier: GPL-2.0

//! `/dev/stress`, by which a program creates and controls probes.
//!
//! A write has the names of targets, one per line. An ioctl creates a probe or a set at the targets
//! of the last write; others query, toggle or drop it. Each open file has its own probes; threads
//! that share a file use them concurrently. `tests/inside/stress.py` is the program.

#[macro_use]
#[path = "../handlers.rs"]
mod handlers;

use core::sync::atomic::AtomicU64;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;
use handlers::Hits;
use kernel::error::to_result;
use kernel::fs::File;
use kernel::fs::Kiocb;
use kernel::ioctl::_IO;
use kernel::iov::IovIterSource;
use kernel::miscdevice::*;
use kernel::new_mutex;
use kernel::prelude::*;
use kernel::sync::Arc;
use kernel::sync::Mutex;
use kernel::uaccess::UserPtr;
use kernel::uaccess::UserSlice;
use kprobes::nofault::UserStr;
use kprobes::probe::*;
use kprobes::*;

module! {
    type: Stress,
    name: "stress",
    description: "Lets a program create and control probes",
    license: "GPL",
}

mod targets {
    use kernel::prelude::*;

    // The functions take any value.
    unsafe extern "C" {
        pub(super) safe fn stress_call(which: c_uint, times: c_ulong) -> c_int;
        pub(super) safe fn stress_count(which: c_uint) -> u64;
        pub(super) safe fn stress_inner(value: u64) -> u64;
        pub(super) safe fn stress_sleep(ms: c_uint) -> c_long;
        pub(super) safe fn stress_timers(on: c_uint);
        /// Does not dereference `string`.
        pub(super) safe fn stress_user(string: usize) -> u64;
    }
}

// The counters that can be queried. `device.py` has the same numbers.
const HITS: usize = 0;
const MISSED: usize = 1;
const RETURNS: usize = 2;
const WRONG: usize = 3;
const FAULTS: usize = 4;

type Counts = [Count; 5];

trait Answers {
    fn counts(&self) -> &Counts;

    /// The index of the member of a set to query for misses; by default, all members.
    fn member(&self) -> usize {
        usize::MAX
    }
}

struct On<F>(Counts, F);

handlers!(On<F>, F: Fn(&Counts) + Send + Sync + 'static);

impl<F: Fn(&Counts) + Send + Sync + 'static> Hits for On<F> {
    fn hit<At: Place>(&self, _cx: &Context<'_, At>, _address: Option<Address>) {
        self.1(&self.0);
    }
}

impl<F> Answers for On<F> {
    fn counts(&self) -> &Counts {
        &self.0
    }
}

fn before() -> On<impl Fn(&Counts) + Send + Sync + 'static> {
    On(Default::default(), |counts: &Counts| counts[HITS].add(1))
}

fn nested() -> On<impl Fn(&Counts) + Send + Sync + 'static> {
    On(Default::default(), |counts: &Counts| {
        counts[HITS].add(1);
        targets::stress_inner(counts[HITS].get());
    })
}

macro_rules! answers {
    ($($handler:ty)+) => {$(
        impl Answers for $handler {
            fn counts(&self) -> &Counts {
                &self.0
            }
        }
    )+};
}

answers!(Around Reader Followed);

#[derive(Default)]
struct Around(Counts);

#[vtable]
impl kprobe::Handler for Around {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        self.0[HITS].add(1);
    }

    fn post(&self, _cx: &kprobe::PostContext<'_>) {
        self.0[RETURNS].add(1);
    }
}

/// Counts the hits of all functions, and those of `stress_exact()`.
struct Picks {
    counts: Counts,
    address: usize,
    index: AtomicUsize,
}

impl Picks {
    fn new() -> Result<Self> {
        let exact = Target::symbol(c"stress:stress_exact");
        let probe = KBox::pin_init(Entry::new(exact, before()), GFP_KERNEL)?;
        Ok(Self {
            counts: Default::default(),
            address: probe.address().ok_or(EINVAL)?.as_usize(),
            index: AtomicUsize::new(0),
        })
    }
}

#[vtable]
impl entry::Handler for Picks {
    fn entry(&self, cx: &entry::Context<'_>) {
        self.counts[HITS].add(1);
        if cx.address().as_usize() == self.address {
            self.counts[RETURNS].add(1);
            self.index.store(cx.index(), Relaxed);
        }
    }
}

impl Answers for Picks {
    fn counts(&self) -> &Counts {
        &self.counts
    }

    fn member(&self) -> usize {
        self.index.load(Relaxed)
    }
}

/// Reads a string of 32 equal letters. Another thread replaces the letter, or unmaps the page.
#[derive(Default)]
struct Reader(Counts);

#[vtable]
impl kprobe::Handler for Reader {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        self.0[HITS].add(1);
        let mut buf = [0; 40];
        match cx.arg0::<UserStr>().read(&mut buf) {
            Ok(text) => {
                // The page may have just been mapped and be zero.
                let text = text.as_bytes();
                let letters = text.iter().all(|&b| b == b'A' || b == b'B');
                if !letters || text.len() > 32 {
                    self.0[WRONG].add(1);
                }
            }
            Err(EFAULT) => self.0[FAULTS].add(1),
            Err(_) => self.0[WRONG].add(1),
        }
    }
}

/// Counts entries and returns, and checks the data.
#[derive(Default)]
struct Followed(Counts, AtomicU64);

#[derive(Clone, Copy)]
struct Call {
    pid: i32,
    serial: u64,
}

#[vtable]
impl kretprobe::Handler for Followed {
    type Data = Call;

    fn entry(&self, cx: &kretprobe::Context<'_>) -> Option<Call> {
        self.0[HITS].add(1);
        Some(Call {
            pid: cx.pid(),
            serial: self.1.fetch_add(1, Relaxed),
        })
    }

    fn ret(&self, cx: &kretprobe::ReturnContext<'_>, call: Call) {
        self.0[RETURNS].add(1);
        if call.pid != cx.pid() || call.serial >= self.1.load(Relaxed) {
            self.0[WRONG].add(1);
        }
    }
}

/// Maps that handlers in all contexts add to, while a program drains them.
struct Collected {
    hits: AtomicU64,
    few: CountMap<u32>,
    /// With more keys than entries, like `values`.
    full: CountMap<u32>,
    all: Histogram,
    by_key: HistogramMap<(i32, bool)>,
    values: Map<u32, u64>,
    /// Each hit inserts a new key and removes it.
    pairs: Map<u64, u64>,
    taken: Count,
    refused: Count,
    wrong: Count,
    /// By `few`, `full`, `all`, `by_key` and `values`.
    drained: [Count; 5],
}

impl Collected {
    fn new() -> Result<Self> {
        Ok(Self {
            hits: AtomicU64::new(0),
            few: CountMap::new(8)?,
            full: CountMap::new(16)?,
            all: Histogram::log2()?,
            by_key: HistogramMap::with_buckets(8, Buckets::linear(0, 100, 10)?)?,
            values: Map::new(16)?,
            pairs: Map::new(16)?,
            taken: Count::new(),
            refused: Count::new(),
            wrong: Count::new(),
            drained: Default::default(),
        })
    }

    fn hit(&self) {
        let n = self.hits.fetch_add(1, Relaxed);
        self.few.add(n as u32 % 3, 1);
        self.full.add(n as u32 % 40, 1);
        self.all.record(n);
        self.by_key.record((n as i32 % 5, n % 2 == 0), n % 120);
        self.values.update(n as u32 % 40, 1, |value| *value += 1);
        if !self.pairs.insert(n, !n) {
            self.refused.add(1);
        } else if let Some(value) = self.pairs.take(n) {
            self.taken.add(1);
            self.expect(value == !n);
        }
    }

    fn expect(&self, right: bool) {
        self.wrong.add((!right).into());
    }

    fn look(&self) -> Result {
        let entries = self.full.read();
        let top = entries.top(5)?;
        self.expect(top.len() <= 5 && entries.iter().count() <= 16);
        self.expect(top.windows(2).all(|two| two[0].count >= two[1].count));
        for row in self.by_key.read().iter() {
            let parts = row.distribution();
            let sum: u64 = parts.iter().map(|(_, _, count)| count).sum();
            self.expect((-4..5).contains(&row.key.0) && sum >= row.count);
        }
        self.expect(self.pairs.iter().all(|(key, value)| value == !key));
        self.values.retain(|key, value| {
            self.drained[4].add(value);
            self.expect(key < 40);
            false
        });
        Ok(())
    }

    fn drain(&self) -> Result {
        let [few, full, all, by_key, _] = &self.drained;
        few.add(self.few.drain()?.total());
        full.add(self.full.drain()?.total());
        all.add(self.all.drain()?.total());
        by_key.add(self.by_key.drain()?.total());
        Ok(())
    }

    /// All but the first three figures must be the number of hits.
    fn figure(&self, which: usize) -> Result<u64> {
        let (few, full, pairs) = (&self.few, &self.full, &self.pairs);
        let drained = |n: usize| self.drained[n].get();
        Ok(match which {
            0 => self.wrong.get(),
            1 => full.dropped(),
            2 => pairs.dropped(),
            3 => self.hits.load(Relaxed),
            4 => few.read().total() + drained(0) + few.dropped(),
            5 => full.read().total() + drained(1) + full.dropped(),
            6 => self.all.total() + drained(2),
            7 => self.by_key.read().total() + drained(3) + self.by_key.dropped(),
            8 => {
                let kept: u64 = self.values.iter().map(|(_, value)| value).sum();
                kept + drained(4) + self.values.dropped()
            }
            // Entries that could not be removed stay.
            9 => self.taken.get() + pairs.iter().count() as u64 + self.refused.get(),
            10 => self.taken.get() + pairs.dropped(),
            _ => return Err(EINVAL),
        })
    }
}

/// A probe or a set of any kind. A thread that uses it prevents the drop.
trait Held: Send + Sync {
    fn ask(&self, what: usize) -> Option<u64>;
    fn enable(&self, on: bool) -> Result;
}

impl<K: Kind, H: Handles<K> + Answers> Held for Probe<K, H> {
    fn ask(&self, what: usize) -> Option<u64> {
        match what {
            MISSED => Some(self.missed()),
            _ => self.handler().counts().get(what).map(Count::get),
        }
    }

    fn enable(&self, on: bool) -> Result {
        let toggle = [Registered::disable, Registered::enable][usize::from(on)];
        toggle(self)
    }
}

impl<K: Kind, H: Handles<K> + Answers> Held for Set<K, H> {
    fn ask(&self, what: usize) -> Option<u64> {
        match what {
            MISSED => match self.get(self.handler().member()) {
                Some(probe) => Some(probe.missed()),
                None => Some(self.missed()),
            },
            // The number of members, and how many are gone.
            FAULTS => Some(self.len() as u64),
            WRONG => Some(self.iter().filter(|(_, probe)| probe.is_gone()).count() as u64),
            _ => self.handler().counts().get(what).map(Count::get),
        }
    }

    fn enable(&self, on: bool) -> Result {
        let toggle = [Set::disable, Set::enable][usize::from(on)];
        toggle(self)
    }
}

type Shared = Arc<dyn Held>;

fn shared<T: Held + 'static>(probe: impl PinInit<T, Error>) -> Result<Shared> {
    let shared: Shared = Arc::pin_init(probe, GFP_KERNEL)?;
    Ok(shared)
}

#[pin_data]
struct Device {
    /// The last write, with a NUL for each newline.
    #[pin]
    text: Mutex<KVVec<u8>>,
    #[pin]
    held: Mutex<KVec<Option<Shared>>>,
    collected: Arc<Collected>,
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
const LEAK: u32 = _IO('k' as u32, 11);
const COLLECTED: u32 = _IO('k' as u32, 12);
const DRAIN: u32 = _IO('k' as u32, 13);

/// Parses targets: `SYMBOL` or `SYMBOL+OFFSET`, each with a NUL.
fn targets_of(text: &[u8]) -> Result<KVVec<Target<'_>>> {
    let mut targets = KVVec::new();
    for line in text.split_inclusive(|&b| b == 0) {
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

/// Replaces the query at the user address `arg` by the result: an ioctl can return only an `int`.
fn answer(arg: usize, to: impl FnOnce(usize) -> Result<u64>) -> Result {
    let word = || UserSlice::new(UserPtr::from_addr(arg), size_of::<u64>());
    let question: u64 = word().reader().read()?;
    word().writer().write(&to(question as usize)?)
}

impl Device {
    /// Creates a probe of kind `arg & 0xff` at the last targets. The rest of `arg` is its
    /// maxactive.
    fn add(&self, arg: usize) -> Result<isize> {
        // Do not hold the lock, so that probes can be registered concurrently.
        let text = core::mem::take(&mut *self.text.lock());
        let targets = targets_of(&text)?;
        let first = *targets.first().ok_or(EINVAL)?;
        let name = || CStr::from_bytes_until_nul(&text).map_err(|_| EINVAL);
        let exclusive = entry::Options::default().exclusive();
        let follows = kretprobe::Options::default().max_active((arg >> 8) as u16);
        let followed = Followed::default();
        let to = self.collected.clone();
        let collects = On(Default::default(), move |counts: &Counts| {
            counts[HITS].add(1);
            to.hit();
        });
        let held = match arg & 0xff {
            0 => shared(Kprobe::new(first, before())),
            1 => shared(Kprobe::new(first, Around::default())),
            2 => shared(Kprobe::new(first, nested())),
            3 => shared(Kprobe::new(first, Reader::default())),
            4 => shared(Kretprobe::with_options(first, follows, followed)),
            5 => shared(KprobeSet::new(&targets, before())),
            6 => shared(KretprobeSet::with_options(&targets, follows, followed)),
            7 => shared(Tracepoint::new(name()?, before())),
            8 => shared(Entry::new(first, before())),
            9 => shared(EntrySet::new(&targets, before())),
            10 => shared(Entry::new(first, nested())),
            11 => shared(EntrySet::matching(name()?, Picks::new()?)),
            12 => shared(Entry::with_options(first, exclusive, before())),
            13 => shared(Kprobe::new(first, collects)),
            14 => shared(Entry::new(first, collects)),
            15 => shared(Tracepoint::new(name()?, collects)),
            _ => Err(EINVAL),
        }?;
        let mut all = self.held.lock();
        let free = all.iter().position(|h| h.is_none());
        let index = free.unwrap_or(all.len());
        if free.is_none() {
            all.push(None, GFP_KERNEL)?;
        }
        all[index] = Some(held);
        Ok(index as isize)
    }

    fn get(&self, index: usize) -> Result<Shared> {
        self.held.lock().get(index).cloned().flatten().ok_or(ENOENT)
    }
}

#[vtable]
impl MiscDevice for Device {
    type Ptr = Pin<KBox<Self>>;

    fn open(_file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        let collected = Arc::new(Collected::new()?, GFP_KERNEL)?;
        let device = pin_init!(Self {
            text <- new_mutex!(KVVec::new()),
            held <- new_mutex!(KVec::new()),
            collected,
        });
        KBox::pin_init(device, GFP_KERNEL)
    }

    fn write_iter(kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterSource<'_>) -> Result<usize> {
        let mut text = KVVec::new();
        let len = iov.copy_from_iter_vec(&mut text, GFP_KERNEL)?;
        for byte in text.iter_mut() {
            if *byte == b'\n' {
                *byte = 0;
            }
        }
        *kiocb.file().text.lock() = text;
        Ok(len)
    }

    fn ioctl(me: Pin<&Self>, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            // `arg` is the function and the number of calls.
            CALL => to_result(targets::stress_call((arg & 0xff) as u32, arg >> 8))?,
            COUNTED => answer(arg, |which| Ok(targets::stress_count(which as u32)))?,
            TIMERS => targets::stress_timers(arg as u32),
            SLEEP => return Ok(targets::stress_sleep(arg as u32)),
            USER => drop(targets::stress_user(arg)),
            ADD => return me.add(arg),
            DROP => {
                let held = me.held.lock().get_mut(arg).and_then(Option::take);
                // The drop sleeps, so release the lock first.
                drop(held.ok_or(ENOENT)?);
            }
            ENABLE | DISABLE => me.get(arg)?.enable(cmd == ENABLE)?,
            ASK => answer(arg, |question| {
                me.get(question >> 8)?.ask(question & 0xff).ok_or(EINVAL)
            })?,
            COLLECTED => answer(arg, |which| me.collected.figure(which))?,
            DRAIN if arg == 0 => me.collected.look()?,
            DRAIN => me.collected.drain()?,
            // For the harness's tests, which expect a report of the leak.
            LEAK => {
                for _ in 0..arg {
                    core::mem::forget(KVec::<u8>::with_capacity(200, GFP_KERNEL)?);
                }
            }
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

struct Stress {
    _device: Pin<KBox<MiscDeviceRegistration<Device>>>,
}

impl kernel::Module for Stress {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let device = MiscDeviceRegistration::register(MiscDeviceOptions { name: c"stress" });
        let _device = KBox::pin_init(device, GFP_KERNEL)?;
        Ok(Self { _device })
    }
}

impl Drop for Stress {
    fn drop(&mut self) {
        targets::stress_timers(0);
    }
}
