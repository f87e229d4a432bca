// SPDX-License-Identifier: GPL-2.0

//! What is logged where probes are refused.

// case logged: refused ENOENT
// says: kprobe at get_kprobe: this place cannot be probed: .* \(EINVAL\)
// says: kretprobe at get_kprobe: not the entry of a function .* \(EINVAL\)
// says: timed probe at get_kprobe: not the entry of a function .* \(EINVAL\)
// says: entry probe 1 of a set at get_kprobe: not the entry of a function .* \(EINVAL\)
// says: override at get_kprobe: not the entry of a function .* \(EINVAL\)
// says: redirect at get_kprobe: this place cannot be probed: .* \(EINVAL\)
// says: tracepoint at sched_swich: no such tracepoint \(ENOENT\)
// says: kprobe at \w+_sys_getpriority\+0x7fffffff: no such symbol \(ENOENT\)
// says: kprobe at [0-9a-f]+: no such symbol \(ENOENT\)
// says: kprobe at _do_fork: no such symbol \(ENOENT\)
// says: try kernel_clone, its name since Linux 5\.10
// says: failed at do_sys_openat3: no such symbol \(ENOENT\)
// says: to list similar names: grep -i do_sys_ope /proc/kallsyms
// case quiet: harmless
// says: no such symbol

use super::*;

const NO_PLACE: Target<'static> = Target::symbol(c"get_kprobe");

kprobes::probes! {
    struct Opens;

    fn failed at c"do_sys_openat3" (_cx) {}
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    if case == b"quiet" {
        assert!(NOWHERE.check() == Err(ENOENT));
        let quiet = Options::default().quiet();
        assert!(boxed(Kprobe::with_options(NOWHERE, quiet, Nop)).is_err());
        pr_info!("{}\n", NOWHERE.reason::<kprobe::Kind>(ENOENT));
        let partial = Options::default().partial();
        return one(KprobeSet::with_options(&[NOWHERE, PLACE], partial, Nop));
    }
    let _ = boxed(Kprobe::new(NO_PLACE, Nop));
    let _ = boxed(Kretprobe::new(NO_PLACE, Nop));
    let _ = boxed(Timed::new(NO_PLACE, Nop));
    let _ = boxed(EntrySet::new(&[PLACE, NO_PLACE], Nop));
    diverting(NO_PLACE);
    let _ = boxed(Tracepoint::new(c"sched_swich", Nop));
    let _ = boxed(Kprobe::new(PLACE.offset(0x7fff_ffff), Nop));
    let _ = boxed(Kprobe::new(Target::address(usize::MAX - 0xfff), Nop));
    let _ = boxed(Pending::<kprobe::Kind, _>::new(
        &[Target::symbol(c"_do_fork")],
        Nop,
    ));
    one(<Opens as kernel::InPlaceModule>::init(
        THIS.as_ref().ok_or(ENOTTY)?,
    ))
}
