// SPDX-License-Identifier: GPL-2.0

//! Initialisers that fail after probes were registered.

// case by_the_module: refused EIO
// says: first: 0 hits, 0 missed
// says: second: 0 hits, 0 missed
// case array: refused ENOENT
// says: kprobe at no_such_function: no such symbol \(ENOENT\)
// says: to list similar names: grep -i no_such_fun /proc/kallsyms
// says: member: 0 hits, 0 missed
// says: member: 0 hits, 0 missed
// says: member: 0 hits, 0 missed
// case fields: refused ENOENT
// says: kprobe at no_such_function: no such symbol \(ENOENT\)
// says: to list similar names: grep -i no_such_fun /proc/kallsyms
// says: second: 0 hits, 0 missed
// says: first: 0 returns, 0 missed
// case possible: refused ENOENT
// says: possible: 0 returns, 0 missed
// case possible_and_forgotten: refused EIO
// says: 1 probe at __x64_sys_setpriority\+0x\w+/0x\w+ was never dropped; unregistering it

use super::*;
use pin_init::pin_init_array_from_fn;

#[pin_data]
struct Fields {
    #[pin]
    first: Kretprobe<Counts>,
    #[pin]
    second: Kprobe<Counts>,
    #[pin]
    third: Kprobe<Counts>,
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let targets = [PLACE, OTHER, NOWHERE, PLACE];
    match case {
        b"by_the_module" => {
            let _second = counting(PLACE, "second")?;
            let _first = counting(OTHER, "first")?;
            Err(EIO)
        }
        b"array" => one(pin_init_array_from_fn::<_, 8, _, Error>(|n| {
            let target = if n < 3 { PLACE } else { NOWHERE };
            Kprobe::new(target, Counts::new("member"))
        })),
        b"fields" => one(try_pin_init!(Fields {
            first <- Kretprobe::new(PLACE, Counts::new("first")),
            second <- Kprobe::new(PLACE, Counts::new("second")),
            third <- Kprobe::new(NOWHERE, Counts::new("third")),
        })),
        b"possible" => {
            let options = kretprobe::Options::default().partial();
            let handler = Counts::new("possible");
            let set = boxed(KretprobeSet::with_options(&targets, options, handler))?;
            let refused = set.refused().next();
            refused.map_or_else(|| keep_one(set), |refusal| Err(refusal.error))
        }
        b"possible_and_forgotten" => {
            let options = kprobe::Options::default().partial();
            forget(KprobeSet::with_options(&targets[1..3], options, Nop))?;
            Err(EIO)
        }
        _ => Err(ENOTTY),
    }
}
