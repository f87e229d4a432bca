// SPDX-License-Identifier: GPL-2.0

//! A watch for modules whose handler makes and drops things. It is called when
//! this module's own initialisation is done.

// case makes_a_watch: harmless
// says: EDEADLK
// case makes_a_probe: harmless
// says: within: 0 hits, 0 missed
// says: Ok
// case drops_a_probe: harmless
// says: dropped: 0 hits, 0 missed
// case toggles: harmless
// case drops_itself: stopped attacks: a watch for modules is dropped in the handler of one; stopped before it waits for itself

#![forbid(unsafe_code)]

use super::{counting, just, Held, Kept, Nop, OTHER, PLACE};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex}, //
};
use kprobes::{module, Kprobe, ModuleWatch};

/// Does something at the first call only.
#[pin_data]
struct Once<F: FnOnce() + Send + Unpin + 'static> {
    #[pin]
    what: Mutex<Option<F>>,
}

impl<F: FnOnce() + Send + Unpin + 'static> Once<F> {
    fn new(what: F) -> impl PinInit<Self> {
        pin_init!(Self { what <- new_mutex!(Some(what)) })
    }
}

impl<F: FnOnce() + Send + Unpin + 'static> module::Handler for Once<F> {
    fn gone(&self) {
        let what = self.what.lock().take();
        if let Some(what) = what {
            what();
        }
    }
}

fn watch(what: impl FnOnce() + Send + Unpin + 'static) -> Result<Kept> {
    just(KBox::pin_init(
        ModuleWatch::new(Once::new(what)),
        GFP_KERNEL,
    )?)
}

/// Has what the handler drops.
#[pin_data]
struct Slot {
    #[pin]
    held: Mutex<Option<KBox<dyn Held>>>,
}

/// Drops what is in the slot.
struct Empties(Arc<Slot>);

impl module::Handler for Empties {
    fn gone(&self) {
        let held = self.0.held.lock().take();
        drop(held);
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"makes_a_watch" => watch(|| {
            let made = KBox::pin_init(ModuleWatch::new(Nop), GFP_KERNEL);
            if let Err(error) = made {
                pr_info!("{error:?}\n");
            }
        }),
        b"makes_a_probe" => watch(|| {
            if counting(OTHER, "within").is_ok() {
                pr_info!("Ok\n");
            }
        }),
        b"drops_a_probe" => {
            let probe = counting(OTHER, "dropped")?;
            watch(move || drop(probe))
        }
        b"toggles" => {
            let probe = Arc::pin_init(Kprobe::new(PLACE, Nop), GFP_KERNEL)?;
            watch(move || {
                assert!(probe.disable().is_ok() && probe.enable().is_ok());
            })
        }
        b"drops_itself" => {
            let init = pin_init!(Slot { held <- new_mutex!(None) });
            let slot = Arc::pin_init(init, GFP_KERNEL)?;
            let watch = KBox::pin_init(ModuleWatch::new(Empties(slot.clone())), GFP_KERNEL)?;
            *slot.held.lock() = Some(KBox::new(watch, GFP_KERNEL)?);
            Ok(Kept::new())
        }
        _ => Err(ENOTTY),
    }
}
