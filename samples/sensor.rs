// SPDX-License-Identifier: GPL-2.0

//! What would a security sensor want to know? Changes of credentials, programs
//! with their arguments, renamed and removed files and directories: one line of
//! key=value pairs each, with all strings escaped.
//!
//! The probes for renaming and removing are on functions that all system calls for
//! it share, including io_uring. There, the kernel has its own copy of the name,
//! which the program cannot change any more. Only 64-bit programs are covered.

use core::mem::offset_of;
use kernel::bindings::{__filename_head, cred};
use kernel::prelude::*;
use kprobes::{
    kprobe,
    nofault::{KernelPtr, KernelStr, Shown, UserPtr, UserStr},
    Context, KprobeSet, Target,
};

module! {
    type: Sensor,
    name: "sensor",
    authors: ["The rust_kprobe authors"],
    description: "Logs what a security sensor wants to know",
    license: "GPL",
}

const TARGETS: [Target<'static>; 6] = [
    Target::symbol(c"commit_creds"),
    kprobes::syscall!("execve"),
    kprobes::syscall!("execveat"),
    Target::symbol(c"filename_renameat2"),
    Target::symbol(c"filename_unlinkat"),
    Target::symbol(c"filename_rmdir"),
];

struct Events;

#[vtable]
impl kprobe::Handler for Events {
    fn pre(&self, cx: &Context<'_>) {
        // Without readable memory there is no event; an unreadable name is (fault).
        let _ = match cx.index() {
            0 => credentials(cx),
            1 => execve(cx),
            2 => execveat(cx),
            3 => rename(cx),
            4 => remove("unlink", cx),
            _ => remove("rmdir", cx),
        };
    }
}

fn credentials(cx: &Context<'_>) -> Result {
    let new: KernelPtr = cx.arg(0);
    let id = |offset| new.field::<u32>(offset).read();
    let usage = new.field::<usize>(offset_of!(cred, usage)).read()?;
    let old = cx.euid();
    pr_info!(
        "event=commit_creds pid={} comm={} old_euid={old} usage={usage} uid={} gid={} suid={} sgid={} euid={} egid={} fsuid={} fsgid={}\n",
        cx.tgid(),
        cx.comm(),
        id(offset_of!(cred, uid))?,
        id(offset_of!(cred, gid))?,
        id(offset_of!(cred, suid))?,
        id(offset_of!(cred, sgid))?,
        id(offset_of!(cred, euid))?,
        id(offset_of!(cred, egid))?,
        id(offset_of!(cred, fsuid))?,
        id(offset_of!(cred, fsgid))?
    );
    Ok(())
}

/// The first six arguments of a program, as ` argv0=... argv1=...`, and ` ...` if
/// there are more.
struct Argv(UserPtr<usize>);

impl kernel::fmt::Display for Argv {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        for n in 0..7 {
            // The array ends with a null pointer.
            match self.0.element(n).read() {
                Ok(arg) if arg != 0 && n < 6 => {
                    let arg = UserStr::new(arg).show::<64>();
                    f.write_fmt(fmt!(" argv{n}={arg}"))?;
                }
                Ok(arg) if arg != 0 => f.write_str(" ...")?,
                _ => break,
            }
        }
        Ok(())
    }
}

fn program(event: &str, cx: &Context<'_>, path: UserStr, argv: UserPtr<usize>) -> Result {
    pr_info!(
        "event={event} pid={} comm={} path={}{}\n",
        cx.tgid(),
        cx.comm(),
        path.show::<64>(),
        Argv(argv)
    );
    Ok(())
}

fn execve(cx: &Context<'_>) -> Result {
    let (path, argv) = cx.syscall_args()?;
    program("execve", cx, path, argv)
}

/// `fexecve()` passes an empty path and an open file.
fn execveat(cx: &Context<'_>) -> Result {
    let (_, path, argv): (i32, _, _) = cx.syscall_args()?;
    program("execveat", cx, path, argv)
}

/// Reads the path in a `struct filename`, the argument that `n` selects. This fails
/// if the argument is an error pointer.
fn path(cx: &Context<'_>, n: impl FnOnce(&Context<'_>) -> KernelPtr) -> Result<Shown<64>> {
    let name = n(cx)
        .field::<usize>(offset_of!(__filename_head, name))
        .read()?;
    Ok(KernelStr::new(name).show())
}

fn rename(cx: &Context<'_>) -> Result {
    let (old, new) = (path(cx, |cx| cx.arg(1))?, path(cx, |cx| cx.arg(3))?);
    pr_info!(
        "event=rename pid={} comm={} oldname={old} newname={new}\n",
        cx.tgid(),
        cx.comm()
    );
    Ok(())
}

fn remove(event: &str, cx: &Context<'_>) -> Result {
    let pathname = path(cx, |cx| cx.arg(1))?;
    pr_info!(
        "event={event} pid={} comm={} pathname={pathname}\n",
        cx.tgid(),
        cx.comm()
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
