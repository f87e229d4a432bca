// SPDX-License-Identifier: GPL-2.0

//! Probes that wait for their module.

use crate::{
    common::*,
    kernel_ext::may_wait::may_wait,
    module::{self, ModuleWatch},
};
use kernel::{
    new_mutex,
    str::CString,
    sync::{Arc, Mutex},
};

/// The state of a [`Pending`] probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its module has not been loaded yet.
    Waiting,
    /// Its module is loaded.
    Registered,
    /// Its module was unloaded.
    Gone,
    /// The probe was refused the last time its module was loaded.
    Refused(Error),
}

/// Probes of the kind `K` at one or several targets, which share a handler as those of a [`Set`].
/// Each is registered when its module is loaded, before the module's init runs, unregistered when
/// the module is unloaded, and registered again when that is loaded again.
///
/// A target is `MODULE:symbol`, or a tracepoint of any module. If a target's module is already
/// loaded, or the target belongs to no module, its probe is registered at once. A probe that is
/// refused when its module is loaded does not keep the module from being loaded. The error is
/// logged on one line, and [`state`](Pending::state) returns it, too.
///
/// A hit of a pending probe costs one more load, because its handler outlives each registration.
///
/// Context: process context; all methods sleep. It must not be dropped in the handler of a
/// [`ModuleWatch`], where that is stopped as the drop of a watch is.
///
/// C functions: `register_module_notifier()`, and those of the kind.
#[pin_data(PinnedDrop)]
#[must_use = "dropping it unregisters the probes"]
pub struct Pending<K: Kind, H: Handles<K>> {
    #[pin]
    watch: ModuleWatch<All<K, H>>,
}

/// What the watch calls.
///
/// The lock is taken within the chain of module notifiers. It is not held when the watch is
/// registered or unregistered.
#[pin_data]
struct All<K: Kind, H: Handles<K>> {
    shared: Arc<Shared<H>>,
    #[pin]
    probes: Mutex<KVVec<One<K, H>>>,
}

struct One<K: Kind, H: Handles<K>> {
    /// Empty if it cannot wait.
    name: CString,
    offset: u32,
    options: Options<K::Specific>,
    /// While there is no probe.
    state: State,
    probe: Option<Registration<K, H>>,
}

type Registration<K, H> = Pin<KBox<Probe<K, Through<H>>>>;

/// The handler, and what was missed by probes that are not registered any more.
#[pin_data]
struct Shared<H> {
    #[pin]
    handler: H,
    missed: AtomicU64,
}

/// The handler of each probe, which has that of all.
struct Through<H>(Arc<Shared<H>>);

/// As the owner `O`, but with the handler of all.
struct Inner<O>(PhantomData<O>);

// SAFETY: As the safety requirements of `O` are those of this.
unsafe impl<R, H: 'static, O: Owner<R, Handler = Through<H>>> Owner<R> for Inner<O> {
    type Handler = H;

    #[inline(always)]
    unsafe fn handler<'a>(raw: *mut R) -> &'a H {
        // SAFETY: By the safety requirements.
        &unsafe { O::handler(raw) }.0.handler
    }
}

// SAFETY: The callbacks are for probes of `Inner<O>`, which are those of `O`.
unsafe impl<K: Kind, H: Handles<K>> Handles<K> for Through<H> {
    #[inline(always)]
    fn plan<'a: 'a, O: Owner<K::Raw, Handler = Self>>(
        target: K::Target<'a>,
        options: Options<K::Specific>,
    ) -> <K::Raw as Raw>::Plan<'a> {
        H::plan::<Inner<O>>(target, options)
    }

    fn unregistered(&self, missed: u64) {
        self.0.missed.fetch_add(missed, Ordering::Relaxed);
    }
}

impl<K: Kind, H: Handles<K>> One<K, H> {
    /// Registers it at `target`.
    fn come(&self, target: K::Target<'_>, shared: &Arc<Shared<H>>) -> Result<Registration<K, H>> {
        let probe = Probe::register(target, self.options, Through(shared.clone()));
        KBox::pin_init(probe, GFP_KERNEL)
    }

    /// Returns the probe, unless it is gone.
    fn registered(&self) -> Option<&Registered<K>> {
        let probe: &Probe<K, _> = self.probe.as_deref()?;
        (!probe.is_gone()).then_some(probe)
    }

    fn turn(&mut self, on: bool) -> Result {
        if let Some(probe) = self.registered() {
            let turned = if on { probe.enable() } else { probe.disable() };
            // One that is gone meanwhile waits.
            turned.or_else(|error| probe.is_gone().then_some(()).ok_or(error))?;
        }
        self.options.disabled = !on;
        Ok(())
    }
}

impl<K: Kind, H: Handles<K>> All<K, H> {
    /// Registers those that are there.
    fn start(&self, targets: &[K::Target<'_>], mut options: Options<K::Specific>) -> Result {
        // Entry probes register a notifier of their own, which they cannot do in ours.
        drop(K::Raw::lock()?);
        let mut probes = self.probes.lock();
        for (index, &target) in targets.iter().enumerate() {
            options.pending = Some(index as u32);
            let (name, offset) = target.name();
            let mut one = One {
                name: name.try_into()?,
                offset,
                options,
                state: State::Waiting,
                probe: None,
            };
            match one.come(target, &self.shared) {
                Ok(probe) => one.probe = Some(probe),
                Err(error) if may_come::<K::Target<'_>>(name, error) => {}
                Err(error) if options.partial => one.state = State::Refused(error),
                Err(error) => return Err(refused::<K>(target, options, -1, error)),
            }
            one.options.quiet = false;
            probes.push(one, GFP_KERNEL)?;
        }
        Ok(())
    }
}

/// Only this file can name [`All`], so nothing uses its owner.
#[cfg(kprobes_linux_7_3)]
struct NoModule;

#[cfg(kprobes_linux_7_3)]
impl kernel::ModuleMetadata for NoModule {
    const NAME: &'static CStr = c"kprobes";
    // SAFETY: The kernel ignores the null pointer where it counts references.
    const THIS_MODULE: ThisModule = unsafe { ThisModule::from_ptr(ptr::null_mut()) };
}

#[vtable]
impl<K: Kind, H: Handles<K>> module::Handler for All<K, H> {
    #[cfg(kprobes_linux_7_3)]
    type OwnerModule = NoModule;

    fn loaded(&self, module: &CStr) {
        for one in self.probes.lock().iter_mut() {
            if !K::Target::is_in(&one.name, Some(module)) || one.registered().is_some() {
                continue;
            }
            one.probe = None;
            match one.come(K::Target::at(&one.name, one.offset), &self.shared) {
                Ok(probe) => one.probe = Some(probe),
                Err(error) => {
                    let target = K::Target::at(&one.name, one.offset);
                    one.state = State::Refused(refused::<K>(target, one.options, -1, error));
                }
            }
        }
    }

    fn gone(&self) {
        for one in self.probes.lock().iter_mut() {
            if !one.name.is_empty() && one.probe.is_some() && one.registered().is_none() {
                one.state = State::Gone;
                one.probe = None;
            }
        }
    }
}

impl<K: Safe, H: Handles<K>> Pending<K, H> {
    constructors! {
        /// Registers `handler` at all of the targets that are there, and waits for the others.
        ///
        /// Errors: those of [`Probe::new`] for a target that is there, or cannot wait, unless the
        /// options are [`partial`](Options::partial); `EDEADLK` in the handler of a
        /// [`ModuleWatch`], and in a KUnit suite while the module loads; `ENOMEM`.
        for<'a> &'a [K::Target<'a>], Options<K::Specific>, at
    }
}

impl<K: Kind, H: Handles<K>> Pending<K, H> {
    constructor! {
        pub(crate) fn at<'a>(
            handler,
            targets: &'a [K::Target<'a>],
            options: Options<K::Specific>,
        ) {
            let shared = try_pin_init!(Shared { handler <- handler, missed: AtomicU64::new(0) });
            let all = try_pin_init!(All {
                shared: Arc::pin_init::<Error>(shared, GFP_KERNEL)?,
                probes <- new_mutex!(KVVec::new()),
            });
            try_pin_init!(Self {
                // First, because a module may be loaded at this moment.
                watch <- ModuleWatch::new::<Error>(all),
                _: { watch.handler().start(targets, options)? },
            })
        }
    }

    /// Returns the handler.
    pub fn handler(&self) -> &H {
        &self.watch.handler().shared.handler
    }

    /// Returns the state of the probe at the target with this index.
    pub fn state(&self, index: usize) -> Option<State> {
        let probes = self.watch.handler().probes.lock();
        let one = probes.get(index)?;
        Some(match (&one.probe, one.registered()) {
            (_, Some(_)) => State::Registered,
            (Some(_), None) => State::Gone,
            (None, None) => one.state,
        })
    }

    /// Calls `ask` with the probe at the target with this index, if it is registered. `ask` must
    /// not call methods of this `Pending`: they would deadlock.
    pub fn with<T>(&self, index: usize, ask: impl FnOnce(&Registered<K>) -> T) -> Option<T> {
        let probes = self.watch.handler().probes.lock();
        probes.get(index)?.registered().map(ask)
    }

    /// Returns how many hits its probes have [missed](Registered::missed) in all, including in
    /// earlier registrations.
    pub fn missed(&self) -> u64 {
        let all = self.watch.handler();
        let probes = all.probes.lock();
        let now = probes
            .iter()
            .filter_map(|one| Some(one.probe.as_ref()?.missed()));
        all.shared.missed.load(Ordering::Relaxed) + now.sum::<u64>()
    }

    /// Enables the probes, or disables them, now and when they are registered again.
    ///
    /// Errors: those of [`Registered::enable`] and [`Registered::disable`] for the first probe for
    /// which it fails; the probes after that stay as they are.
    pub fn turn(&self, on: bool) -> Result {
        may_wait()?;
        let mut probes = self.watch.handler().probes.lock();
        probes.iter_mut().try_for_each(|one| one.turn(on))
    }
}

#[pinned_drop]
impl<K: Kind, H: Handles<K>> PinnedDrop for Pending<K, H> {
    fn drop(self: Pin<&mut Self>) {
        // Where one must not wait, dropping the watch stops the task.
        if may_wait().is_ok() {
            let all = self.watch.handler();
            drop(core::mem::take(&mut *all.probes.lock()));
            all.shared.handler.unregistered(self.missed());
        }
    }
}
