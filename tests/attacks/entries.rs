// SPDX-License-Identifier: GPL-2.0

//! Attacks on entry probes: patterns, all functions, hits in handlers, kprobes at the same place.

// case set_in_handler: harmless
// says: EDEADLK
// says: outer: CALLS hits, 0 missed
// case forgotten_everywhere: harmless
// says: set of \d+ probes at \S+ was never dropped; unregistering it
// case pattern_of_own_helpers: refused ENOENT
// says: pattern 0 of a set at kprobes_entry_\*: no such symbol \(ENOENT\)
// says: to list similar names: grep -i kprobes_en /proc/kallsyms
// case first_entry_in_a_watch: harmless
// says: EDEADLK
// case entry_in_a_watch: harmless
// says: within: 0 hits, 0 missed
// says: done
// says: entry: CALLS hits, 0 missed
// case registers_in_unregistered: harmless
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

/// A part of a handler, with a symbol of its own.
#[inline(never)]
fn handled() {
    black_box(&mut 0);
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"set_in_handler" => {
            let make = || make_and_drop(EntrySet::matching(c"vfs_*", Nop));
            one(Entry::new(PLACE, calls("outer", once(make))))
        }
        b"forgotten_everywhere" => forget(EntrySet::matching(c"*", Nop)),
        // The library's C functions, which ftrace does not know.
        b"pattern_of_own_helpers" => one(EntrySet::matching(c"kprobes_entry_*", Nop)),
        b"first_entry_in_a_watch" => {
            let make = || boxed(Entry::new(OTHER, Nop)).map(drop);
            one(ModuleWatch::new(calls("", once(make))))
        }
        b"entry_in_a_watch" => {
            let mut kept = one(Entry::new(PLACE, Counts::new("entry")))?;
            let make = || boxed(Entry::new(OTHER, Counts::new("within"))).map(drop);
            add(&mut kept, ModuleWatch::new(calls("", once(make))))?;
            Ok(kept)
        }
        b"registers_in_unregistered" => {
            let register = || assert!(boxed(Entry::new(OTHER, Counts::new("inner"))).is_ok());
            one(Entry::new(PLACE, at_end("outer", register)))
        }
        // The handler calls functions with probes. None of these takes a lock.
        b"many_call" => {
            let names = c"vfs_* do_* *sched* *symbol* *printf* string*";
            one(EntrySet::matching(names, calls("all", looks_up)))
        }
        b"allocator" => {
            let allocates = || drop(KBox::new([0u64; 8], GFP_ATOMIC));
            let handler = calls("allocator", allocates);
            one(EntrySet::matching(c"__kmalloc* kfree kvfree", handler))
        }
        // Functions that run outside the library's guard against recursion, and at the module's
        // exit: a kprobe there would recurse, or single-step in a freed slot.
        b"own_callback" => {
            let _set = boxed(EntrySet::matching(c"*kprobe*", Nop))?;
            for name in names()? {
                kinds::fails(boxed(Kprobe::new(Target::symbol(&name), Nop)), EINVAL)?;
            }
            Err(EINVAL)
        }
        b"own_handler" => {
            let names = names()?;
            let name = names.first().ok_or(EINVAL)?;
            let mut kept = keep_one(counting(Target::symbol(name), "kprobe")?)?;
            add(&mut kept, Entry::new(PLACE, calls("entry", handled)))?;
            Ok(kept)
        }
        // Entry probes at functions that kprobes refuse, because kprobes call them.
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
