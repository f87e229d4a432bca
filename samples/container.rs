// SPDX-License-Identifier: GPL-2.0

//! Logs which process calls `do_nanosleep`, and in which container. A process can set its comm
//! to any name; the kernel sets the other properties. Some of them in bpftrace:
//! `kprobe:do_nanosleep { printf("%s %d %d %d\n", comm, pid, uid, cgroup); }`.

use kernel::{prelude::*, str::BStr};

module! {
    type: Container,
    name: "container",
    authors: ["The rust_kprobe authors"],
    description: "Logs the process and the container of each call of do_nanosleep",
    license: "GPL",
}

kprobes::probes! {
    struct Container;

    fn sleep at c"do_nanosleep" (cx) {
        let mut buf = [0; 64];
        // Kernel threads have no executable.
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
