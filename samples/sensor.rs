// SPDX-License-Identifier: GPL-2.0

//! What would a security sensor want to know? Changes of credentials, programs
//! with their arguments, renamed and removed files: one line of key=value each,
//! with everything that a program wrote escaped.

use core::mem::offset_of;
use kernel::bindings::cred;
use kernel::prelude::*;
use kprobes::{Context, Handler, KernelPtr, KprobeSet, Target, UserPtr, UserStr};

module! {
    type: Sensor,
    name: "sensor",
    authors: ["The rust_kprobe authors"],
    description: "Logs what a security sensor looks at",
    license: "GPL",
}

const TARGETS: [Target<'static>; 4] = [
    Target::symbol(c"commit_creds"),
    kprobes::syscall!("execve"),
    kprobes::syscall!("renameat"),
    kprobes::syscall!("unlinkat"),
];

struct Events;

#[vtable]
impl Handler for Events {
    fn pre(&self, cx: &Context<'_>) {
        // Memory that is not there gives no event; a name that is not there, (fault).
        let _ = match cx.index() {
            0 => credentials(cx),
            1 => execve(cx),
            2 => renameat(cx),
            _ => unlinkat(cx),
        };
    }
}

fn credentials(cx: &Context<'_>) -> Result {
    let new: KernelPtr = cx.arg(0);
    let id = |offset| new.field::<u32>(offset).read();
    let old = cx.euid();
    pr_info!(
        "event=commit_creds pid={} comm={} old_euid={old} uid={} gid={} euid={} egid={}\n",
        cx.tgid(),
        cx.comm(),
        id(offset_of!(cred, uid))?,
        id(offset_of!(cred, gid))?,
        id(offset_of!(cred, euid))?,
        id(offset_of!(cred, egid))?
    );
    Ok(())
}

/// Up to six arguments of a program, as ` argv0=... argv1=...`.
struct Argv(UserPtr<usize>);

impl kernel::fmt::Display for Argv {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        for n in 0..6 {
            // It ends with a null pointer.
            match self.0.element(n).read() {
                Ok(arg) if arg != 0 => {
                    let arg = UserStr::new(arg).show::<64>();
                    f.write_fmt(fmt!(" argv{n}={arg}"))?;
                }
                _ => break,
            }
        }
        Ok(())
    }
}

fn execve(cx: &Context<'_>) -> Result {
    let (path, argv): (UserStr, UserPtr<usize>) = cx.syscall_args()?;
    pr_info!(
        "event=execve pid={} comm={} path={}{}\n",
        cx.tgid(),
        cx.comm(),
        path.show::<64>(),
        Argv(argv)
    );
    Ok(())
}

fn renameat(cx: &Context<'_>) -> Result {
    let (_, old, _, new): (i32, UserStr, i32, UserStr) = cx.syscall_args()?;
    let (old, new) = (old.show::<64>(), new.show::<64>());
    pr_info!(
        "event=renameat pid={} comm={} oldname={old} newname={new}\n",
        cx.tgid(),
        cx.comm()
    );
    Ok(())
}

fn unlinkat(cx: &Context<'_>) -> Result {
    let (_, path): (i32, UserStr) = cx.syscall_args()?;
    pr_info!(
        "event=unlinkat pid={} comm={} pathname={}\n",
        cx.tgid(),
        cx.comm(),
        path.show::<64>()
    );
    Ok(())
}

struct Sensor {
    _set: Pin<KBox<KprobeSet<Events>>>,
}

impl kernel::Module for Sensor {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let set = KprobeSet::new(&TARGETS, Events);
        let _set = KBox::pin_init(set, GFP_KERNEL)?;
        Ok(Self { _set })
    }
}
