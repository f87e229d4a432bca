// SPDX-License-Identifier: GPL-2.0

//! Trace events for a security sensor: changes of credentials, programs with their arguments,
//! renamed and removed files and directories, connections.
//!
//! `echo 1 >events/sensor/enable; cat trace_pipe` in `/sys/kernel/tracing` shows the records; perf,
//! trace-cmd and bpftrace can read them, too. A function is probed only while its event has a
//! listener. The kernel's filters select records.
//!
//! At the entry of a system call, a path, an argument or an address is in user memory: its page may
//! not be present, and the program may change it later. So each probe is at a place where the
//! kernel has its own copy. These places cover 64-bit and 32-bit programs and io_uring. The
//! exception is `exec_failed`, which is at the return of the 64-bit system calls and misses failed
//! attempts of 32-bit programs.
//!
//! A name that does not fit into its field ends with `...`; `length` is that of the whole name, but
//! at most 4096. `connect`, `rename` and `unlink` record attempts, without the outcome. The kernel
//! needs `CONFIG_SECURITY_NETWORK`.

use core::fmt::Write;
use core::mem::offset_of;
use core::net::IpAddr;
use kernel::bindings::cred;
use kernel::prelude::*;
use kernel::str::Formatter;
use kernel::task::Pid;
use kprobes::{
    entry,
    event::{Armed, Errno, Str},
    kretprobe,
    nofault::{KernelPtr, KernelStr, UserStr},
    tracepoint, Comm, Dentry, Entry, EntrySet, Exec, FileId, Filename, KretprobeSet, Target,
    Tracepoint,
};

module! {
    type: Sensor,
    name: "sensor",
    authors: ["The rust_kprobe authors"],
    description: "Trace events of what a security sensor wants to know",
    license: "GPL",
}

kprobes::trace_event! {
    struct Creds = "sensor:commit_creds" {
        pid: Pid, comm: Comm,
        old_euid: u32,
        usage: u64,
        uid: u32, gid: u32, suid: u32, sgid: u32,
        euid: u32, egid: u32, fsuid: u32, fsgid: u32,
    }
}

kprobes::trace_event! {
    /// A program is executed. `filename` is the requested path; `interp`, `major`, `minor` and
    /// `inode` are of the file that runs. `argc` also counts arguments after the sixth.
    struct Execs<'a> = "sensor:exec" {
        pid: Pid, comm: Comm,
        filename: Str<'a, 256>, length: usize,
        interp: Str<'a, 256>,
        major: u32, minor: u32, inode: u64,
        argc: u32,
        argv0: Str<'a, 64>, argv1: Str<'a, 64>, argv2: Str<'a, 64>,
        argv3: Str<'a, 64>, argv4: Str<'a, 64>, argv5: Str<'a, 64>,
    }
}

kprobes::trace_event! {
    /// A program could not be executed. `fd` is -100 for execve(2).
    struct ExecFailed<'a> = "sensor:exec_failed" {
        pid: Pid, comm: Comm,
        fd: i32,
        path: Str<'a, 256>, length: usize,
        error: Errno,
    }
}

kprobes::trace_event! {
    /// A file or a directory is about to be renamed. Each name is relative to its folder.
    struct Rename<'a> = "sensor:rename" {
        pid: Pid, comm: Comm,
        oldname: Str<'a, 256>, oldlength: usize, oldfolder: Str<'a, 256>,
        oldmajor: u32, oldminor: u32, oldinode: u64,
        newname: Str<'a, 256>, newlength: usize, newfolder: Str<'a, 256>,
        newmajor: u32, newminor: u32, newinode: u64,
    }
}

kprobes::trace_event! {
    /// A file or a directory is about to be removed. The name is relative to the folder.
    struct Unlink<'a> = "sensor:unlink" {
        pid: Pid, comm: Comm,
        directory: bool,
        pathname: Str<'a, 256>, length: usize, folder: Str<'a, 256>,
        major: u32, minor: u32, inode: u64,
    }
}

kprobes::trace_event! {
    /// A socket is about to be connected. In the address of a Unix socket, `\0` is a NUL, with
    /// which an abstract name begins, and `\\` is a backslash.
    struct Connect<'a> = "sensor:connect" {
        pid: Pid, comm: Comm,
        family: u16, port: u16,
        address: Str<'a, 216>,
    }
}

struct CommitCreds;

#[vtable]
impl entry::Handler for CommitCreds {
    fn entry(&self, cx: &entry::Context<'_>) {
        // If memory cannot be read, there is no event; if a string cannot be read, its field is
        // (fault).
        let _ = credentials(cx);
    }
}

fn credentials(cx: &entry::Context<'_>) -> Result {
    let new: KernelPtr = cx.arg0();
    let ids: [u32; 8] = new.field(offset_of!(cred, uid)).read()?;
    let [uid, gid, suid, sgid, euid, egid, fsuid, fsgid] = ids;
    Creds {
        pid: cx.pid(),
        comm: cx.comm(),
        old_euid: cx.euid(),
        usage: new.field(offset_of!(cred, usage)).read()?,
        uid,
        gid,
        suid,
        sgid,
        euid,
        egid,
        fsuid,
        fsgid,
    }
    .emit(cx);
    Ok(())
}

struct Executed;

#[vtable]
impl tracepoint::Handler for Executed {
    type Args = (KernelPtr, Pid, Exec);

    fn hit(&self, cx: &tracepoint::Context<'_>, (_task, _old_pid, exec): Self::Args) {
        let (mut filename, mut interp, mut bufs) = ([0; 256], [0; 256], [[0; 64]; 6]);
        let argc = exec.argc().unwrap_or(0);
        let mut arguments = cx.program_arguments();
        let mut argv = [Str::new(b""); 6];
        for (argv, buf) in argv.iter_mut().zip(&mut bufs).take(argc as usize) {
            let argument = arguments.as_mut().ok().and_then(|all| all.read_next(buf));
            *argv = argument.unwrap_or(Err(EFAULT)).into();
        }
        let name = exec.filename().unwrap_or(KernelStr::new(0));
        let [argv0, argv1, argv2, argv3, argv4, argv5] = argv;
        let file = exec.file().and_then(|file| file.id()).unwrap_or_default();
        Execs {
            pid: cx.pid(),
            comm: cx.comm(),
            filename: name.read(&mut filename).into(),
            length: name.length(PATH_MAX).unwrap_or(0),
            interp: exec.interp().and_then(|name| name.read(&mut interp)).into(),
            major: file.major,
            minor: file.minor,
            inode: file.inode,
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

const AT_FDCWD: i32 = -100;
const PATH_MAX: usize = 4096;

/// The maximum number of attempts in flight, for example waiting for a disk.
const AT_ONCE: u16 = 256;

struct Attempts;

#[vtable]
impl kretprobe::Handler for Attempts {
    // The descriptor and the path, and the address space of the path.
    type Data = (i32, UserStr, usize);

    fn entry(&self, cx: &kretprobe::Context<'_>) -> Option<Self::Data> {
        let (fd, path) = if cx.index() == 0 {
            let (path,) = cx.syscall_args().ok()?;
            (AT_FDCWD, path)
        } else {
            cx.syscall_args().ok()?
        };
        Some((fd, path, cx.mm().addr()))
    }

    fn ret(&self, cx: &kretprobe::ReturnContext<'_>, (fd, path, mm): Self::Data) {
        if let Err(error) = cx.ret::<Result>() {
            // The kernel has read the path, so its page is present, unless the address space has
            // changed.
            let mut buf = [0; 256];
            let (path, length) = if cx.mm().addr() == mm {
                let length = path.length(PATH_MAX).unwrap_or(0);
                (path.read(&mut buf).into(), length)
            } else {
                (Str::new(b"(gone)"), 0)
            };
            ExecFailed {
                pid: cx.pid(),
                comm: cx.comm(),
                fd,
                path,
                length,
                error: error.into(),
            }
            .emit(cx);
        }
    }
}

/// The fields for a path and the folder that it is relative to.
struct Path<'a> {
    name: Str<'a, 256>,
    length: usize,
    folder: Str<'a, 256>,
    id: FileId,
}

/// Buffers for both names.
type Room = [[u8; 256]; 2];

impl<'a> Path<'a> {
    /// Fails if the kernel could not copy the path.
    fn read(room: &'a mut Room, cx: &entry::Context<'_>, fd: i32, path: Filename) -> Result<Self> {
        let [name, folder] = room;
        let path = path.name()?;
        let name = path.read(name);
        let absolute = name
            .as_ref()
            .is_ok_and(|name| name.as_bytes().first() == Some(&b'/'));
        let start = if absolute {
            cx.root_directory()
        } else if fd == AT_FDCWD {
            cx.working_directory()
        } else {
            cx.file(fd).and_then(|file| file.dentry())
        };
        let folder = start.and_then(|start| start.path(folder));
        Ok(Self {
            name: name.into(),
            length: path.length(PATH_MAX).unwrap_or(0),
            // The descriptor may be invalid.
            folder: folder.map_or(Str::new(b"(none)"), |folder| Str::new(folder)),
            id: start.and_then(Dentry::id).unwrap_or_default(),
        })
    }
}

struct Renames;

#[vtable]
impl entry::Handler for Renames {
    fn entry(&self, cx: &entry::Context<'_>) {
        let (oldfd, oldname, newfd, newname) = cx.args();
        let (mut old, mut new) = ([[0; 256]; 2], [[0; 256]; 2]);
        let old = Path::read(&mut old, cx, oldfd, oldname);
        let new = Path::read(&mut new, cx, newfd, newname);
        if let (Ok(old), Ok(new)) = (old, new) {
            Rename {
                pid: cx.pid(),
                comm: cx.comm(),
                oldname: old.name,
                oldlength: old.length,
                oldfolder: old.folder,
                oldmajor: old.id.major,
                oldminor: old.id.minor,
                oldinode: old.id.inode,
                newname: new.name,
                newlength: new.length,
                newfolder: new.folder,
                newmajor: new.id.major,
                newminor: new.id.minor,
                newinode: new.id.inode,
            }
            .emit(cx);
        }
    }
}

struct Unlinks;

#[vtable]
impl entry::Handler for Unlinks {
    fn entry(&self, cx: &entry::Context<'_>) {
        let (fd, pathname) = cx.args();
        if let Ok(path) = Path::read(&mut [[0; 256]; 2], cx, fd, pathname) {
            Unlink {
                pid: cx.pid(),
                comm: cx.comm(),
                directory: cx.index() == 1,
                pathname: path.name,
                length: path.length,
                folder: path.folder,
                major: path.id.major,
                minor: path.id.minor,
                inode: path.id.inode,
            }
            .emit(cx);
        }
    }
}

/// Writes an address as text and returns the length. It fits.
fn write_ip(text: &mut [u8], ip: impl Into<IpAddr>) -> usize {
    let mut out = Formatter::new(text);
    let _ = write!(out, "{}", ip.into());
    out.bytes_written()
}

struct Connects;

#[vtable]
impl entry::Handler for Connects {
    fn entry(&self, cx: &entry::Context<'_>) {
        let _ = connect(cx);
    }
}

fn connect(cx: &entry::Context<'_>) -> Result {
    const AF_UNIX: u16 = 1;
    const AF_INET: u16 = 2;
    const AF_INET6: u16 = 10;

    // Bytes after the length are stale.
    let (_socket, address, length): (KernelPtr, KernelPtr<u16>, i32) = cx.args();
    let length = usize::try_from(length)?;
    let family = if length < 2 { 0 } else { address.read()? };
    let port = || address.field(2).read().map(u16::from_be_bytes);
    let mut text = [0; 216];
    let (port, end) = match family {
        AF_INET if length >= 8 => {
            let ip: [u8; 4] = address.field(4).read()?;
            (port()?, write_ip(&mut text, ip))
        }
        AF_INET6 if length >= 24 => {
            let ip: [u8; 16] = address.field(8).read()?;
            (port()?, write_ip(&mut text, ip))
        }
        AF_UNIX => {
            let name: [u8; 108] = address.field(2).read()?;
            let name = name.get(..length - 2).unwrap_or(&name);
            // A path ends at its NUL, if any. An abstract name begins with a NUL.
            let path = |&&byte: &&u8| byte != 0 || name.first() == Some(&0);
            let shown = name.iter().take_while(path).flat_map(|byte| match byte {
                0 => b"\\0",
                b'\\' => b"\\\\",
                byte => core::slice::from_ref(byte),
            });
            let copied = text.iter_mut().zip(shown).map(|(to, byte)| *to = *byte);
            (0, copied.count())
        }
        _ => (0, 0),
    };
    Connect {
        pid: cx.pid(),
        comm: cx.comm(),
        family,
        port,
        address: Str::new(text.get(..end).unwrap_or(&[])),
    }
    .emit(cx);
    Ok(())
}

#[pin_data]
struct Sensor {
    #[pin]
    creds: Armed<Entry<CommitCreds>>,
    #[pin]
    exec: Armed<Tracepoint<Executed>>,
    #[pin]
    exec_failed: Armed<KretprobeSet<Attempts>>,
    #[pin]
    rename: Armed<Entry<Renames>>,
    #[pin]
    unlink: Armed<EntrySet<Unlinks>>,
    #[pin]
    connect: Armed<Entry<Connects>>,
}

impl kernel::InPlaceModule for Sensor {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let symbol = Target::symbol;
        let options = kretprobe::Options::default().max_active(AT_ONCE);
        try_pin_init!(Self {
            creds <- Creds::arms(Entry::new(symbol(c"commit_creds"), CommitCreds)),
            exec <- Execs::arms(Tracepoint::new(c"sched_process_exec", Executed)),
            exec_failed <- ExecFailed::arms(KretprobeSet::with_options(
                &[kprobes::syscall!("execve"), kprobes::syscall!("execveat")], options, Attempts)),
            rename <- Rename::arms(Entry::new(symbol(c"filename_renameat2"), Renames)),
            unlink <- Unlink::arms(EntrySet::new(
                &[c"filename_unlinkat", c"filename_rmdir"].map(symbol), Unlinks)),
            connect <- Connect::arms(Entry::new(symbol(c"security_socket_connect"), Connects)),
        })
    }
}
