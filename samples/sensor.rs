// SPDX-License-Identifier: GPL-2.0

//! What would a security sensor want to know? Changes of credentials, programs
//! with their arguments, renamed and removed files and directories, connections: a
//! trace event for each.
//!
//! `sensor_live` shows them as they come, and so do perf, trace-cmd and bpftrace. A
//! function is probed only while somebody listens to its event, and the kernel's own
//! filters tell what is of interest.
//!
//! The probes for renaming and removing are on functions that all system calls for
//! it share, including io_uring. There, the kernel has its own copy of the name,
//! which the program cannot change any more. Only 64-bit programs are covered, and
//! connections without io_uring.

use core::fmt::Write;
use core::mem::offset_of;
use core::net::{Ipv4Addr, Ipv6Addr};
use kernel::bindings::{__filename_head, cred};
use kernel::prelude::*;
use kprobes::{
    entry,
    event::{Armed, Str},
    nofault::{KernelPtr, KernelStr, UserPtr, UserStr},
    AtEntry, Context, Entry, EntrySet, Target,
};

module! {
    type: Sensor,
    name: "sensor",
    authors: ["The rust_kprobe authors"],
    description: "Trace events of what a security sensor wants to know",
    license: "GPL",
}

kprobes::trace_event! {
    /// A task gets new credentials.
    struct Creds = "sensor:commit_creds" {
        old_euid: u32,
        usage: u64,
        uid: u32,
        gid: u32,
        suid: u32,
        sgid: u32,
        euid: u32,
        egid: u32,
        fsuid: u32,
        fsgid: u32,
    }
}

kprobes::trace_event! {
    /// A program is executed. `argc` is 7 if there are more arguments than six.
    struct Execve<'a> = "sensor:execve" {
        path: Str<'a, 128>,
        argc: u8,
        argv0: Str<'a, 64>,
        argv1: Str<'a, 64>,
        argv2: Str<'a, 64>,
        argv3: Str<'a, 64>,
        argv4: Str<'a, 64>,
        argv5: Str<'a, 64>,
    }
}

kprobes::trace_event! {
    /// A program is executed, relative to a directory, or by its descriptor.
    struct Execveat<'a> = "sensor:execveat" {
        fd: i32,
        path: Str<'a, 128>,
        argc: u8,
        argv0: Str<'a, 64>,
        argv1: Str<'a, 64>,
        argv2: Str<'a, 64>,
        argv3: Str<'a, 64>,
        argv4: Str<'a, 64>,
        argv5: Str<'a, 64>,
    }
}

kprobes::trace_event! {
    /// A file or a directory is renamed.
    struct Rename<'a> = "sensor:rename" {
        oldname: Str<'a, 256>,
        newname: Str<'a, 256>,
    }
}

kprobes::trace_event! {
    /// A file or a directory is removed.
    struct Unlink<'a> = "sensor:unlink" {
        directory: bool,
        pathname: Str<'a, 256>,
    }
}

kprobes::trace_event! {
    /// A socket is connected. An address that begins with `@` is an abstract one.
    struct Connect<'a> = "sensor:connect" {
        fd: i32,
        family: u16,
        port: u16,
        address: Str<'a, 108>,
    }
}

struct CommitCreds;

impl entry::Handler for CommitCreds {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        // Without readable memory there is no event; an unreadable string is (fault).
        let _ = credentials(cx);
    }
}

fn credentials(cx: &Context<'_, AtEntry>) -> Result {
    let new: KernelPtr = cx.arg(0);
    let id = |offset| new.field::<u32>(offset).read();
    let creds = Creds {
        old_euid: cx.euid(),
        usage: new.field(offset_of!(cred, usage)).read()?,
        uid: id(offset_of!(cred, uid))?,
        gid: id(offset_of!(cred, gid))?,
        suid: id(offset_of!(cred, suid))?,
        sgid: id(offset_of!(cred, sgid))?,
        euid: id(offset_of!(cred, euid))?,
        egid: id(offset_of!(cred, egid))?,
        fsuid: id(offset_of!(cred, fsuid))?,
        fsgid: id(offset_of!(cred, fsgid))?,
    };
    creds.emit(cx);
    Ok(())
}

/// Reads the first six arguments of a program, and counts up to seven.
fn arguments(argv: UserPtr<usize>, bufs: &mut [[u8; 64]; 6]) -> (u8, [Str<'_, 64>; 6]) {
    let mut found = [Str::new(b""); 6];
    let mut argc = 0;
    for ((n, buf), found) in bufs.iter_mut().enumerate().zip(&mut found) {
        // The array ends with a null pointer.
        match argv.element(n).read() {
            Ok(0) => break,
            arg => *found = arg.and_then(|arg| UserStr::new(arg).read(buf)).into(),
        }
        argc += 1;
    }
    if argc == 6 && argv.element(6).read() != Ok(0) {
        argc += 1;
    }
    (argc, found)
}

struct DoExecve;

impl entry::Handler for DoExecve {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        let Ok((path, argv)) = cx.syscall_args::<(UserStr, UserPtr<usize>)>() else {
            return;
        };
        let (mut buf, mut bufs) = ([0; 128], [[0; 64]; 6]);
        let (argc, [argv0, argv1, argv2, argv3, argv4, argv5]) = arguments(argv, &mut bufs);
        Execve {
            path: path.read(&mut buf).into(),
            argc,
            argv0,
            argv1,
            argv2,
            argv3,
            argv4,
            argv5,
        }
        .emit(cx);
    }
}

struct DoExecveat;

impl entry::Handler for DoExecveat {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        let Ok((fd, path, argv)) = cx.syscall_args::<(i32, UserStr, UserPtr<usize>)>() else {
            return;
        };
        let (mut buf, mut bufs) = ([0; 128], [[0; 64]; 6]);
        let (argc, [argv0, argv1, argv2, argv3, argv4, argv5]) = arguments(argv, &mut bufs);
        Execveat {
            fd,
            // `fexecve()` passes an empty path and an open file.
            path: path.read(&mut buf).into(),
            argc,
            argv0,
            argv1,
            argv2,
            argv3,
            argv4,
            argv5,
        }
        .emit(cx);
    }
}

/// Reads the path in a `struct filename`. This fails if that is an error pointer.
fn path(filename: KernelPtr, buf: &mut [u8; 256]) -> Result<Str<'_, 256>> {
    let name = filename
        .field::<usize>(offset_of!(__filename_head, name))
        .read()?;
    Ok(KernelStr::new(name).read(buf).into())
}

struct Renames;

impl entry::Handler for Renames {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        let (mut old, mut new) = ([0; 256], [0; 256]);
        if let (Ok(oldname), Ok(newname)) = (path(cx.arg(1), &mut old), path(cx.arg(3), &mut new)) {
            Rename { oldname, newname }.emit(cx);
        }
    }
}

struct Unlinks;

impl entry::Handler for Unlinks {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        let mut buf = [0; 256];
        if let Ok(pathname) = path(cx.arg(1), &mut buf) {
            let directory = cx.index() == 1;
            Unlink {
                directory,
                pathname,
            }
            .emit(cx);
        }
    }
}

/// An address as text.
struct Text {
    bytes: [u8; 108],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = self.bytes.get_mut(self.len..).ok_or(core::fmt::Error)?;
        let to = room.get_mut(..text.len()).ok_or(core::fmt::Error)?;
        to.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

struct Connects;

impl entry::Handler for Connects {
    fn entry(&self, cx: &Context<'_, AtEntry>) {
        let _ = connect(cx);
    }
}

fn connect(cx: &Context<'_, AtEntry>) -> Result {
    const AF_UNIX: u16 = 1;
    const AF_INET: u16 = 2;
    const AF_INET6: u16 = 10;

    let (fd, address, length): (i32, UserPtr<u16>, usize) = cx.syscall_args()?;
    let family = address.read()?;
    let mut port = 0;
    let mut text = Text {
        bytes: [0; 108],
        len: 0,
    };
    match family {
        AF_INET | AF_INET6 => {
            port = u16::from_be_bytes(address.field(2).read()?);
            // What does not fit is cut.
            let _ = if family == AF_INET {
                write!(
                    text,
                    "{}",
                    Ipv4Addr::from(address.field::<[u8; 4]>(4).read()?)
                )
            } else {
                write!(
                    text,
                    "{}",
                    Ipv6Addr::from(address.field::<[u8; 16]>(8).read()?)
                )
            };
        }
        AF_UNIX => {
            // An abstract name begins with a NUL, and a path need not end with one.
            let first: u8 = address.field(2).read().unwrap_or(0);
            let skip = usize::from(first == 0);
            text.bytes[0] = b'@';
            let room = length.saturating_sub(2).min(108);
            if let Some(buf) = text.bytes.get_mut(skip..room) {
                text.len = skip + UserStr::new(address.addr() + 2 + skip).read(buf)?.len();
            }
        }
        _ => {}
    }
    let address = Str::new(&text.bytes[..text.len]);
    let connect = Connect {
        fd,
        family,
        port,
        address,
    };
    connect.emit(cx);
    Ok(())
}

/// A probe that listeners of an event arm.
type Probe<H> = Pin<KBox<Armed<Entry<H>>>>;

struct Sensor {
    _creds: Probe<CommitCreds>,
    _execve: Probe<DoExecve>,
    _execveat: Probe<DoExecveat>,
    _rename: Probe<Renames>,
    _unlink: Pin<KBox<Armed<EntrySet<Unlinks>>>>,
    _connect: Probe<Connects>,
}

impl kernel::Module for Sensor {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let symbol = |name| Target::symbol(name).disabled();
        let removals = [symbol(c"filename_unlinkat"), symbol(c"filename_rmdir")];
        let creds = Creds::arms(Entry::new(symbol(c"commit_creds"), CommitCreds));
        let execve = Execve::arms(Entry::new(kprobes::syscall!("execve").disabled(), DoExecve));
        let execveat = kprobes::syscall!("execveat").disabled();
        let execveat = Execveat::arms(Entry::new(execveat, DoExecveat));
        let rename = Rename::arms(Entry::new(symbol(c"filename_renameat2"), Renames));
        let unlink = Unlink::arms(EntrySet::new(&removals, Unlinks));
        let connect = Connect::arms(Entry::new(
            kprobes::syscall!("connect").disabled(),
            Connects,
        ));
        Ok(Self {
            _creds: KBox::pin_init(creds, GFP_KERNEL)?,
            _execve: KBox::pin_init(execve, GFP_KERNEL)?,
            _execveat: KBox::pin_init(execveat, GFP_KERNEL)?,
            _rename: KBox::pin_init(rename, GFP_KERNEL)?,
            _unlink: KBox::pin_init(unlink, GFP_KERNEL)?,
            _connect: KBox::pin_init(connect, GFP_KERNEL)?,
        })
    }
}
