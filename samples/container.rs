// SPDX-License-Identifier: GPL-2.0

//! Which program of which container is it? What it cannot choose itself, unlike its comm.

use kernel::{prelude::*, str::BStr};

module! {
    type: Container,
    name: "container",
    authors: ["The rust_kprobe authors"],
    description: "Logs who calls do_nanosleep, as security tools know processes",
    license: "GPL",
}

kprobes::probes! {
    struct Container;

    fn sleep at c"do_nanosleep" (cx) {
        let mut buf = [0; 64];
        // Kernel threads have no program.
        let exe = cx.exe_name(&mut buf).map_or(&b"-"[..], |name| name.as_bytes());
        pr_info!(
            "comm={} exe={} pid={} ppid={} uid={} gid={} inside={} cgroup={} started={}\n",
            cx.comm(),
            BStr::from_bytes(exe),
            cx.tgid(),
            cx.ppid(),
            cx.uid(),
            cx.gid(),
            cx.tgid_vnr(),
            cx.cgroup_id(),
            cx.start_time_ns()
        );
    }
}
