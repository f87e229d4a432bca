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
    /// It is registered.
    Registered,
    /// Its module was unloaded.
    Gone,
    /// It was refused when its module was loaded.
    Refused(Error),
}

/// Probes that are registered whenever their module is loaded. They are of the kind `K`, at one or
/// several targets, and share a handler like those of a [`Set`].
///
/// A target is `MODULE:symbol`, or a tracepoint of any module. The probe is registered before the
/// module's init runs, and unregistered when the module is unloaded. If the module is already
/// loaded, or the target is not in a module, the probe is registered at once. If the probe is
/// refused when the module is loaded, the error is logged and [`state`](Pending::state) returns it;
/// the module is loaded all the same.
///
/// A hit of a pending probe costs one more load, because its handler outlives each registration.
///
/// Context: process context; all methods sleep. A drop in the handler of a [`ModuleWatch`] ends in
/// a `BUG()`.
///
/// C functions: `register_module_notifier()`, and those of the kind.
#[pin_data(PinnedDrop)]
#[must_use = "dropping it unregisters the probes"]
pub struct Pending<K: Kind, H: Handles<K>> {
    #[pin]
    watch: ModuleWatch<Probes<K, H>>,
}

/// The handler of the watch.
///
/// The kernel holds the semaphore of the module notifiers when it calls this handler, which takes
/// the lock of `probes`. So this lock is not held while the watch is registered or unregistered.
#[pin_data]
struct Probes<K: Kind, H: Handles<K>> {
    shared: Arc<Shared<H>>,
    #[pin]
    probes: Mutex<KVVec<PendingProbe<K, H>>>,
}

struct PendingProbe<K: Kind, H: Handles<K>> {
    /// `MODULE:symbol` or the name of a tracepoint. Empty for other targets, which do not wait.
    name: CString,
    offset: u32,
    options: Options<K::Specific>,
    /// The state while `probe` is `None`.
    state: State,
    probe: Option<Registration<K, H>>,
}

type Registration<K, H> = Pin<KBox<Probe<K, SharedHandler<H>>>>;

/// The handler, and the missed hits of former registrations.
#[pin_data]
struct Shared<H> {
    #[pin]
    handler: H,
    missed: AtomicU64,
}

/// The handler of each registration.
struct SharedHandler<H>(Arc<Shared<H>>);

/// The owner `O`, but with the handler behind its [`SharedHandler`].
struct SharedOwner<O>(PhantomData<O>);

// SAFETY: `handler` has the safety requirements of that of `O`.
unsafe impl<R, H: 'static, O: Owner<R, Handler = SharedHandler<H>>> Owner<R> for SharedOwner<O> {
    type Handler = H;

    #[inline(always)]
    unsafe fn handler<'a>(raw: *mut R) -> &'a H {
        // SAFETY: By the safety requirements, `raw` is a registered probe of `O`.
        &unsafe { O::handler(raw) }.0.handler
    }
}

// SAFETY: The callbacks are for probes of `SharedOwner<O>`, which are those of `O`.
unsafe impl<K: Kind, H: Handles<K>> Handles<K> for SharedHandler<H> {
    #[inline(always)]
    fn plan<'a: 'a, O: Owner<K::Raw, Handler = Self>>(
        target: K::Target<'a>,
        options: Options<K::Specific>,
    ) -> <K::Raw as Raw>::Plan<'a> {
        H::plan::<SharedOwner<O>>(target, options)
    }

    fn unregistered(&self, missed: u64) {
        self.0.missed.fetch_add(missed, Ordering::Relaxed);
    }
}

impl<K: Kind, H: Handles<K>> PendingProbe<K, H> {
    fn register(
        &self,
        target: K::Target<'_>,
        shared: &Arc<Shared<H>>,
    ) -> Result<Registration<K, H>> {
        let probe = Probe::register(target, self.options, SharedHandler(shared.clone()));
        KBox::pin_init(probe, GFP_KERNEL)
    }

    /// Returns the probe if it is registered and not gone.
    fn registered(&self) -> Option<&Registered<K>> {
        let probe: &Probe<K, _> = self.probe.as_deref()?;
        (!probe.is_gone()).then_some(probe)
    }

    fn enable(&mut self, on: bool) -> Result {
        if let Some(probe) = self.registered() {
            let done = if on { probe.enable() } else { probe.disable() };
            // Its module may be unloaded concurrently.
            done.or_else(|error| probe.is_gone().then_some(()).ok_or(error))?;
        }
        self.options.disabled = !on;
        Ok(())
    }
}

impl<K: Kind, H: Handles<K>> Probes<K, H> {
    /// Registers the probes whose module is loaded.
    fn register(&self, targets: &[K::Target<'_>], mut options: Options<K::Specific>) -> Result {
        // The first lock() may register a module notifier, which `loaded` cannot do.
        drop(K::Raw::lock()?);
        let mut probes = self.probes.lock();
        for (index, &target) in targets.iter().enumerate() {
            options.pending = Some(index as u32);
            let (name, offset) = target.name();
            let mut pending = PendingProbe {
                name: name.try_into()?,
                offset,
                options,
                state: State::Waiting,
                probe: None,
            };
            match pending.register(target, &self.shared) {
                Ok(probe) => pending.probe = Some(probe),
                Err(error) if may_come::<K::Target<'_>>(name, error) => {}
                Err(error) if options.partial => pending.state = State::Refused(error),
                Err(error) => return Err(refused::<K>(target, options, -1, error)),
            }
            pending.options.quiet = false;
            probes.push(pending, GFP_KERNEL)?;
        }
        Ok(())
    }
}

/// An `OwnerModule`, which nothing uses.
#[cfg(kprobes_linux_7_3)]
struct NoModule;

#[cfg(kprobes_linux_7_3)]
impl kernel::ModuleMetadata for NoModule {
    const NAME: &'static CStr = c"kprobes";
    // SAFETY: A null pointer is a valid `struct module *`: that of built-in code.
    const THIS_MODULE: ThisModule = unsafe { ThisModule::from_ptr(ptr::null_mut()) };
}

#[vtable]
impl<K: Kind, H: Handles<K>> module::Handler for Probes<K, H> {
    #[cfg(kprobes_linux_7_3)]
    type OwnerModule = NoModule;

    fn loaded(&self, module: &CStr) {
        for pending in self.probes.lock().iter_mut() {
            let name = &pending.name;
            if !K::Target::is_in(name, Some(module)) || pending.registered().is_some() {
                continue;
            }
            pending.probe = None;
            match pending.register(K::Target::at(name, pending.offset), &self.shared) {
                Ok(probe) => pending.probe = Some(probe),
                Err(error) => {
                    let target = K::Target::at(&pending.name, pending.offset);
                    pending.state =
                        State::Refused(refused::<K>(target, pending.options, -1, error));
                }
            }
        }
    }

    fn gone(&self) {
        for pending in self.probes.lock().iter_mut() {
            let registered = pending.registered().is_some();
            if !pending.name.is_empty() && pending.probe.is_some() && !registered {
                pending.state = State::Gone;
                pending.probe = None;
            }
        }
    }
}

impl<K: Safe, H: Handles<K>> Pending<K, H> {
    constructors! {
        /// Registers `handler` at the targets whose module is loaded, and waits for the others.
        ///
        /// Errors: `EDEADLK` in the handler of a [`ModuleWatch`] and in a KUnit suite; `ENOMEM`.
        /// Unless the options are [`partial`](Options::partial), those of [`Probe::new`] for a
        /// target that does not wait.
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
            let probes = try_pin_init!(Probes {
                shared: Arc::pin_init::<Error>(shared, GFP_KERNEL)?,
                probes <- new_mutex!(KVVec::new()),
            });
            try_pin_init!(Self {
                // First, so as not to miss a module that is loaded concurrently.
                watch <- ModuleWatch::new::<Error>(probes),
                _: { watch.handler().register(targets, options)? },
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
        let pending = probes.get(index)?;
        Some(match (&pending.probe, pending.registered()) {
            (_, Some(_)) => State::Registered,
            (Some(_), None) => State::Gone,
            (None, None) => pending.state,
        })
    }

    /// Calls `f` with the probe at the target with this index, if the probe is registered. `f` must
    /// not call methods of this `Pending`, which would deadlock.
    pub fn with<T>(&self, index: usize, f: impl FnOnce(&Registered<K>) -> T) -> Option<T> {
        let probes = self.watch.handler().probes.lock();
        probes.get(index)?.registered().map(f)
    }

    /// Returns the sum of [missed](Registered::missed) hits of all probes, including former
    /// registrations.
    pub fn missed(&self) -> u64 {
        let handler = self.watch.handler();
        let probes = handler.probes.lock();
        let now = probes
            .iter()
            .filter_map(|pending| Some(pending.probe.as_ref()?.missed()));
        handler.shared.missed.load(Ordering::Relaxed) + now.sum::<u64>()
    }

    /// Enables or disables the probes, including those that are registered later.
    ///
    /// Errors: that of [`Registered::enable`] or [`Registered::disable`] for the first probe that
    /// fails. Probes after it do not change.
    pub fn turn(&self, on: bool) -> Result {
        may_wait()?;
        let mut probes = self.watch.handler().probes.lock();
        probes.iter_mut().try_for_each(|pending| pending.enable(on))
    }
}

#[pinned_drop]
impl<K: Kind, H: Handles<K>> PinnedDrop for Pending<K, H> {
    fn drop(self: Pin<&mut Self>) {
        // In atomic context, dropping the watch ends in `BUG()`.
        if may_wait().is_ok() {
            let handler = self.watch.handler();
            drop(core::mem::take(&mut *handler.probes.lock()));
            handler.shared.handler.unregistered(self.missed());
        }
    }
}
