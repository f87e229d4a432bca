// SPDX-License-Identifier: GPL-2.0

//! Probes that are never dropped, in unusual places.

// case own_function: harmless
// says: 1 probe at [0-9a-f]{16} was never dropped; unregistering it
// held: 1
// case many: harmless
// says: set of 300 probes at __x64_sys_getpriority\+0x\w+/0x\w+ was never dropped; unregistering it
// says: set of 300 probes at __x64_sys_getpriority\+0x\w+/0x\w+ was never dropped; unregistering it
// held: 300
// case in_a_static: harmless
// says: 1 probe at __x64_sys_getpriority\+0x\w+/0x\w+ was never dropped; unregistering it
// held: 1
// case in_flight: harmless
// says: 1 probe at do_wait\+0x\w+/0x\w+ was never dropped; unregistering it
// case watch_creates_more: harmless
// says: done
// says: done
// says: 1 probe at the module notifier \(ModuleWatch\) was never dropped; unregistering it
// says: 1 probe at __x64_sys_getpriority\+0x\w+/0x\w+ was never dropped; unregistering it
// says: 1 probe at __x64_sys_getpriority\+0x\w+/0x\w+ was never dropped; unregistering it

use super::*;

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        // When the library logs this probe, the kernel has removed the module's symbols.
        b"own_function" => {
            let target = Target::address(<Nop as kprobe::Handler>::pre as *const () as usize);
            forget(Kprobe::new(target, Nop))
        }
        b"many" => {
            static TARGETS: [Target<'static>; 300] = [PLACE; 300];
            forget(KprobeSet::new(&TARGETS, Nop))?;
            forget(EntrySet::new(&TARGETS, Nop))
        }
        b"in_a_static" => {
            static KEPT: SetOnce<Pin<KBox<Kprobe<Nop>>>> = SetOnce::new();
            KEPT.populate(boxed(Kprobe::new(PLACE, Nop))?);
            Ok(Kept::new())
        }
        // Programs that wait for a child return from this function after the unload.
        b"in_flight" => {
            let target = Target::symbol(c"do_wait");
            let options = kretprobe::Options::default().max_active(64);
            forget(Kretprobe::with_options(target, options, Nop))
        }
        // The last call of the handler is after this module's exit.
        b"watch_creates_more" => forget(ModuleWatch::new(calls("", || {
            log_result(forget(Kprobe::new(PLACE, Nop)).map(drop));
        }))),
        _ => Err(ENOTTY),
    }
}
