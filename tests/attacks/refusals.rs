// SPDX-License-Identifier: GPL-2.0

//! What is logged where probes are refused.

// case kinds: refused EINVAL
// says: kprobe at get_kprobe: this place cannot be probed: .* \(EINVAL\)
// says: kretprobe at get_kprobe: not the entry of a function .* \(EINVAL\)
// says: timed probe at get_kprobe: not the entry of a function .* \(EINVAL\)
// says: entry probe at get_kprobe: not the entry of a function .* \(EINVAL\)
// says: override at get_kprobe: not the entry of a function .* \(EINVAL\)
// says: redirect at get_kprobe: this place cannot be probed: .* \(EINVAL\)
// says: entry probe 1 of a set at get_kprobe: not the entry of a function .* \(EINVAL\)
// says: kprobe 0 of a set at get_kprobe: this place cannot be probed: .* \(EINVAL\)
// says: kprobe at get_kprobe: this place cannot be probed: .* \(EINVAL\)
// case symbols: refused ENOENT
// says: kprobe at do_sys_openat3: no such symbol \(ENOENT\)
// says: to list similar symbols: grep -i do_sys_ope /proc/kallsyms
// says: kprobe at _do_fork: no such symbol \(ENOENT\)
// says: try kernel_clone, its name since Linux 5\.10
// says: kprobe at sys_open: no such symbol \(ENOENT\)
// says: try \w+_sys_open, the system call's entry here
// says: try do_sys_openat2, which all forms of open\(\) call
// says: kprobe at vfs_read\+0x7fffffff: no such symbol \(ENOENT\)
// says: kprobe at [0-9a-f]+: no such symbol \(ENOENT\)
// says: tracepoint at sched_swich: no such tracepoint \(ENOENT\)
// says: to list similar tracepoints: grep -i sched_sw /sys/kernel/tracing/available_events
// case named: refused ENOENT
// says: failed at do_sys_openat3: no such symbol \(ENOENT\)
// says: to list similar symbols: grep -i do_sys_ope /proc/kallsyms
// case logged_by_the_caller: harmless
// says: no such symbol

use super::*;

const NO_PLACE: Target<'static> = Target::symbol(c"get_kprobe");

kprobes::probes! {
    struct Opens;

    fn failed at c"do_sys_openat3" (_cx) {}
}

/// The error of the last one.
macro_rules! refused {
    ($($init:expr),* $(,)?) => { [$(made($init).err()),*].into_iter().last().flatten() };
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let error = match case {
        b"kinds" => {
            let both = [PLACE, NO_PLACE];
            let partial = Options::default().partial();
            refused!(
                Kprobe::new(NO_PLACE, Nop),
                Kretprobe::new(NO_PLACE, Nop),
                Timed::new(NO_PLACE, Nop),
                Entry::new(NO_PLACE, Nop),
                overriding(NO_PLACE),
                redirecting(NO_PLACE),
                EntrySet::new(&both, Nop),
                // All of its targets are refused.
                KprobeSet::with_options(&both[1..], partial, Nop),
                Pending::<kprobe::Kind, _>::new(&both, Nop),
            )
        }
        b"symbols" => {
            for name in [c"do_sys_openat3", c"_do_fork", c"sys_open"] {
                assert!(made(Kprobe::new(Target::symbol(name), Nop)).is_err());
            }
            let beyond = Target::symbol(c"vfs_read").offset(0x7fff_ffff);
            let unmapped = Target::address(usize::MAX - 0xfff);
            refused!(
                Kprobe::new(beyond, Nop),
                Kprobe::new(unmapped, Nop),
                Tracepoint::new(c"sched_swich", Nop),
            )
        }
        b"named" => {
            let this = THIS.as_ref().ok_or(ENOTTY)?;
            refused!(<Opens as kernel::InPlaceModule>::init(this))
        }
        b"logged_by_the_caller" => {
            assert!(NOWHERE.check() == Err(ENOENT));
            let quiet = kprobe::Options::default().quiet();
            let error = refused!(Kprobe::with_options(NOWHERE, quiet, Nop)).ok_or(ENOTTY)?;
            pr_info!("{}\n", NOWHERE.reason::<kprobe::Kind>(error));
            let partial = Options::default().partial();
            let both = [NOWHERE, PLACE];
            return one(KprobeSet::with_options(&both, partial, Nop));
        }
        _ => None,
    };
    Err(error.unwrap_or(ENOTTY))
}
