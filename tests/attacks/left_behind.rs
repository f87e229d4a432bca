// SPDX-License-Identifier: GPL-2.0

//! What is left behind in unusual places, and by whom.

// case own_function: harmless
// says: left registered: 1 at [0-9a-f]{16}; unregistered now
// held: 1
// case own_exit: harmless
// says: at the exit
// says: left registered: 1 at [0-9a-f]{16}; unregistered now
// case many: harmless
// says: left registered: 300 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now
// held: 300
// case disabled: harmless
// says: left registered: 1 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now
// held: 1
// races
// case in_flight: harmless
// says: left registered: 1 at do_wait\+0x\w+/0x\w+; unregistered now
// case watch_makes_more: harmless
// says: made one more
// says: made one more
// says: left registered: a watch for modules that go; unregistered now
// says: left registered: 1 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now
// says: left registered: 1 at __x64_sys_getpriority\+0x\w+/0x\w+; unregistered now

#![forbid(unsafe_code)]

use super::{Does, Kept, Nop, PLACE};
use core::mem;
use kernel::prelude::*;
use kprobes::{
    kprobe, kretprobe, Context, Kprobe, KprobeSet, Kretprobe, ModuleWatch, Return, Target,
};

/// Says that it was hit.
struct Exit;

#[vtable]
impl kretprobe::Handler for Exit {
    type Data = ();

    fn ret(&self, _cx: &Context<'_, Return>, _data: ()) {
        pr_info!("at the exit\n");
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        // By the time it is told, the kernel has forgotten the symbols of the module.
        b"own_function" => {
            let target = Target::address(<Nop as kprobe::Handler>::pre as *const () as usize);
            mem::forget(KBox::pin_init(Kprobe::new(target, Nop), GFP_KERNEL)?);
        }
        // In C, so that it is a function as ftrace knows it; called before the module goes.
        b"own_exit" => {
            let target = Target::symbol(c"attacks:kprobes_leave_kprobes");
            mem::forget(KBox::pin_init(Kretprobe::new(target, Exit), GFP_KERNEL)?);
            return super::just(KBox::pin_init(Kprobe::new(PLACE, Nop), GFP_KERNEL)?);
        }
        b"many" => {
            static TARGETS: [Target<'static>; 300] = [PLACE; 300];
            mem::forget(KBox::pin_init(KprobeSet::new(&TARGETS, Nop), GFP_KERNEL)?);
        }
        b"disabled" => {
            let probe = KBox::pin_init(Kprobe::new(PLACE, Nop), GFP_KERNEL)?;
            probe.disable()?;
            mem::forget(probe);
        }
        // Whoever waits for a child is in that function, when it is left and later.
        b"in_flight" => {
            let probe = Kretprobe::with_max_active(Target::symbol(c"do_wait"), 64, Nop);
            mem::forget(KBox::pin_init(probe, GFP_KERNEL)?);
        }
        // The last time when this module goes, after its exit.
        b"watch_makes_more" => {
            let watch = ModuleWatch::new(Does::new("watch", || {
                if let Ok(probe) = KBox::pin_init(Kprobe::new(PLACE, Nop), GFP_KERNEL) {
                    mem::forget(probe);
                    pr_info!("made one more\n");
                }
            }));
            mem::forget(KBox::pin_init(watch, GFP_KERNEL)?);
        }
        _ => return Err(ENOTTY),
    }
    Ok(Kept::new())
}
