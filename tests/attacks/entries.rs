// SPDX-License-Identifier: GPL-2.0

//! What only entry probes have: patterns, all functions, hits in handlers, kprobes beside them.

// case set_in_handler: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// case forgotten_everywhere: harmless
// says: left registered: \d+ at \S+; unregistered now
// case own_helpers: refused ENOENT
// says: pattern 0 of a set at kprobes_entry_\*: no such symbol \(ENOENT\)
// says: to list similar names: grep -i kprobes_en /proc/kallsyms
// case first_in_a_watch: harmless
// says: EDEADLK
// case in_a_watch: harmless
// says: within: 0 hits, 0 missed
// says: done
// says: entry: CALLS hits, 0 missed
// case registers_at_the_end: harmless
// says: inner: 0 hits, 0 missed
// says: outer: CALLS hits, 0 missed
// case many_call: harmless
// says: all: \d+ hits, [1-9]\d* missed
// case allocator: harmless
// says: allocator: \d+ hits, [1-9]\d* missed
// case own_callback: refused EINVAL
// says some: kprobe at \S+: this place cannot be probed: .* \(EINVAL\)
// case own_handler: harmless
// says: kprobe: CALLS hits, 0 missed
// says: entry: CALLS hits, 0 missed
// case without_kprobes: harmless
// says some: kprobe at \S+: .* \((EILSEQ|EINVAL)\)
// says: everywhere: [1-9]\d* hits, \d+ missed
// says: inside: CALLS hits, 0 missed
// says: at the entry: CALLS hits, 0 missed

use super::*;
use core::hint::black_box;

fn looks_up() {
    let _ = Address::new(0).location();
}

/// A part of a handler that has a symbol of its own.
#[inline(never)]
fn handled() {
    black_box(&mut 0);
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"set_in_handler" => {
            let make = || briefly(EntrySet::matching(c"vfs_*", Nop));
            one(Entry::new(PLACE, does("outer", once(make))))
        }
        b"forgotten_everywhere" => forget(EntrySet::matching(c"*", Nop)),
        // The library's own functions in C, which ftrace does not know.
        b"own_helpers" => one(EntrySet::matching(c"kprobes_entry_*", Nop)),
        b"first_in_a_watch" => {
            let make = || made(Entry::new(OTHER, Nop)).map(drop);
            one(ModuleWatch::new(does("", once(make))))
        }
        b"in_a_watch" => {
            let mut kept = one(Entry::new(PLACE, Counts::new("entry")))?;
            let make = || made(Entry::new(OTHER, Counts::new("within"))).map(drop);
            add(&mut kept, ModuleWatch::new(does("", once(make))))?;
            Ok(kept)
        }
        b"registers_at_the_end" => {
            let register = || assert!(made(Entry::new(OTHER, Counts::new("inner"))).is_ok());
            one(Entry::new(PLACE, finally("outer", register)))
        }
        // Each of these calls functions that are probed, none of which takes a lock.
        b"many_call" => {
            let names = c"vfs_* do_* *sched* *symbol* *printf* string*";
            one(EntrySet::matching(names, does("all", looks_up)))
        }
        b"allocator" => {
            let allocates = || drop(KBox::new([0u64; 8], GFP_ATOMIC));
            let handler = does("allocator", allocates);
            one(EntrySet::matching(c"__kmalloc* kfree kvfree", handler))
        }
        // The functions that run before the library's guard against recursion and after it, and at
        // the module's end: a kprobe would be hit without the code by which it returns.
        b"own_callback" => {
            let _set = made(EntrySet::matching(c"*kprobe*", Nop))?;
            for name in names()? {
                kinds::fails(made(Kprobe::new(Target::symbol(&name), Nop)), EINVAL)?;
            }
            Err(EINVAL)
        }
        b"own_handler" => {
            let names = names()?;
            let name = names.first().ok_or(EINVAL)?;
            let mut kept = just(counting(Target::symbol(name), "kprobe")?)?;
            add(&mut kept, Entry::new(PLACE, does("entry", handled)))?;
            Ok(kept)
        }
        // Entry probes at functions at which there can be no kprobe, because kprobes call them.
        b"without_kprobes" => {
            let list = CString::try_from_fmt(fmt!("{}", argument.value().ok_or(EINVAL)?))?;
            let mut kept = one(EntrySet::matching(&list, Counts::new("everywhere")))?;
            let offset = (1..64).find_map(|offset| counting(PLACE.offset(offset), "inside").ok());
            keep(&mut kept, offset.ok_or(EINVAL)?)?;
            keep(&mut kept, counting(PLACE, "at the entry")?)?;
            Ok(kept)
        }
        _ => Err(ENOTTY),
    }
}
