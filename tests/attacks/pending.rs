// SPDX-License-Identifier: GPL-2.0

//! Pending probes in `stress_victim`, which is loaded and unloaded meanwhile. Each init calls the
//! probed function 10 times, and the test calls it 5 times later.

// case kinds: harmless
// victim: 3 at_init=10
// says: kprobe: 45 hits, 0 missed
// says: return: 45 returns, 0 missed
// says: entry: 45 hits, 0 missed
// says: tracepoint: 45 hits, 0 missed
// says: of the system: 45 hits, 0 missed
// says: init: 3 hits, 0 missed
// says: set: 145 hits, 0 missed
// case init_fails: harmless
// victim: 3 at_init=10 error=-12
// says: kprobe: 30 hits, 0 missed
// says: tracepoint: 30 hits, 0 missed
// says: follows one: 3 returns, 30 missed
// case toggles: harmless
// victim: 3 at_init=10
// says: timed: 15 returns, 0 missed
// says: tracepoint: 15 hits, 0 missed
// case refused: harmless
// victim: 1
// says: done
// says: kprobe at stress_victim:no_such_function: no such symbol \(ENOENT\)
// says: to list similar names: grep -i no_such_fun /proc/kallsyms
// says: kprobe at stress_victim:stress_not_probed: this place cannot be probed: .* \(EINVAL\)
// says: kprobe at stress_victim:stress_victim\+0x1: the offset is not .* \(EILSEQ\)
// says: tracepoint at sched:stress_passed: the tracepoint is in another system \(ENOENT\)
// says some: EINVAL
// says: set: 5 hits, 0 missed
// case not_loaded: refused ENOENT
// says: entry probe at stress_victim:stress_victim: no loaded module has it \(ENOENT\)
// says: kretprobe 1 of a set at stress_victim:stress_victim: no loaded module has it \(ENOENT\)
// case names: refused ENOENT
// says: tracepoint at sys_enter_openat: a system call's event: use syscall!\(\) \(ENOENT\)
// says: tracepoint at syscalls:sys_exit_read: a system call's event: use syscall!\(\) \(ENOENT\)
// says: tracepoint at irq:sched_switch: the tracepoint is in another system \(ENOENT\)
// says: tracepoint at irq:sched_switch: the tracepoint is in another system \(ENOENT\)

use super::*;
use kprobes::pending::State;

const VICTIM: Target<'static> = Target::symbol(c"stress_victim:stress_victim");
const PASSED: &CStr = c"stress_passed";

/// Adds counting probes with these options.
macro_rules! counts {
    ($to:ident, $kind:ident, $targets:expr, $name:literal $(, $option:ident($($arg:expr)?))?) => {{
        let options = $kind::Options::default()$(.$option($($arg)?))?;
        let targets = $targets;
        let handler = Counts::new($name);
        add($to, Pending::<$kind::Kind, _>::with_options(&targets, options, handler))?;
    }};
}

/// Enables the probes at the first unload, disables them at the second.
fn toggles<'a, K: Safe>(kept: &mut Kept, at: &'a [K::Target<'a>], handler: Counts) -> Result
where
    Counts: Handles<K>,
{
    let off = Options::default().disabled();
    let probe = shared(Pending::<K, _>::with_options(at, off, handler))?;
    assert!(probe.state(0) == Some(State::Waiting) && probe.state(1).is_none());
    let (known, unloads) = (probe.clone(), Count::new());
    let toggle = move || {
        if known.state(0) == Some(State::Gone) {
            unloads.add(1);
            assert!(known.turn(unloads.get() == 1).is_ok());
        }
    };
    add(kept, ModuleWatch::new(calls("", toggle)))?;
    keep(kept, probe)
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let mut kept = Kept::new();
    let to = &mut kept;
    match case {
        b"kinds" => {
            counts!(to, kprobe, [VICTIM], "kprobe");
            counts!(to, kretprobe, [VICTIM], "return");
            counts!(to, entry, [VICTIM], "entry");
            counts!(to, tracepoint, [PASSED], "tracepoint");
            counts!(to, tracepoint, [c"stress:stress_passed"], "of the system");
            counts!(
                to,
                kprobe,
                [Target::symbol(c"stress_victim:init_module")],
                "init"
            );
            counts!(to, kprobe, [VICTIM, PLACE], "set");
        }
        b"init_fails" => {
            counts!(to, kprobe, [VICTIM], "kprobe");
            counts!(to, tracepoint, [PASSED], "tracepoint");
            let often = Target::symbol(c"stress_victim:call_often");
            counts!(to, kretprobe, [often], "follows one", max_active(1));
        }
        b"toggles" => {
            toggles::<timed::Kind>(to, &[VICTIM], Counts::new("timed"))?;
            toggles::<tracepoint::Kind>(to, &[PASSED], Counts::new("tracepoint"))?;
        }
        b"refused" => {
            let none = Target::symbol(c"stress_victim:no_such_function");
            let not_probed = Target::symbol(c"stress_victim:stress_not_probed");
            let targets = [none, not_probed, VICTIM.offset(1), VICTIM];
            let set = Pending::<kprobe::Kind, _>::new(&targets, Counts::new("set"));
            let set = shared(set)?;
            counts!(to, tracepoint, [c"sched:stress_passed"], "");
            let known = set.clone();
            let asked = move || match known.state(1) {
                Some(State::Refused(error)) => log_result(Err(error)),
                _ => log_result(Ok(())),
            };
            add(to, ModuleWatch::new(calls("", asked)))?;
            keep(to, set)?;
        }
        b"not_loaded" => {
            assert!(boxed(Entry::new(VICTIM, Nop)).is_err());
            add(to, KretprobeSet::new(&[PLACE, VICTIM], Nop))?;
        }
        b"names" => {
            add(to, Tracepoint::new(c"sched:sched_switch", Nop))?;
            for name in [
                c"sys_enter_openat",
                c"syscalls:sys_exit_read",
                c"irq:sched_switch",
            ] {
                assert!(boxed(Tracepoint::new(name, Nop)).err() == Some(ENOENT));
            }
            counts!(to, tracepoint, [c"irq:sched_switch"], "");
        }
        _ => return Err(ENOTTY),
    }
    Ok(kept)
}
