// SPDX-License-Identifier: GPL-2.0

//! What would a security sensor want to know? Changes of credentials, programs
//! with their arguments, renamed and removed files and directories, connections: a
//! trace event for each.
//!
//! `sensor_live` shows the records as the kernel writes them, and so do perf, trace-cmd and
//! bpftrace. A function is probed only while its event has a listener. The kernel's own filters
//! select records.
//!
//! At the entry of a system call, a path, an argument or an address is in user memory, whose page
//! may not be present yet. So each probe is where the kernel has its own copy, which the
//! program cannot change any more. 64-bit and 32-bit programs and io_uring share these places. The
//! one exception is `exec_failed`, which is at the return of the 64-bit system calls, so the failed
//! attempts of 32-bit programs have no record.
//!
//! A name that does not fit into its field ends with `...`; `length` is that of the whole name, or
//! 4096 if it is longer.
//!
//! `connect`, `rename` and `unlink` are attempts: their records do not have the outcome.
//!
//! The kernel needs `CONFIG_SECURITY_NETWORK`.

use core::fmt::Write;
use core::mem::offset_of;
use core::net::{Ipv4Addr, Ipv6Addr};
use kernel::bindings::cred;
use kernel::prelude::*;
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
    /// A task gets new credentials.
    struct Creds = "sensor:commit_creds" {
        pid: Pid,
        comm: Comm,
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
    /// A program is executed. `filename` is what was asked for, `interp` and the file what runs.
    /// `argc` also counts the arguments after the sixth.
    struct Execs<'a> = "sensor:exec" {
        pid: Pid,
        comm: Comm,
        filename: Str<'a, 256>,
        length: usize,
        interp: Str<'a, 256>,
        major: u32,
        minor: u32,
        inode: u64,
        argc: u32,
        argv0: Str<'a, 64>,
        argv1: Str<'a, 64>,
        argv2: Str<'a, 64>,
        argv3: Str<'a, 64>,
        argv4: Str<'a, 64>,
        argv5: Str<'a, 64>,
    }
}

kprobes::trace_event! {
    /// A program could not be executed. `fd` is -100 for execve(2).
    struct ExecFailed<'a> = "sensor:exec_failed" {
        pid: Pid,
        comm: Comm,
        fd: i32,
        path: Str<'a, 256>,
        length: usize,
        error: Errno,
    }
}

kprobes::trace_event! {
    /// A file or a directory is to be renamed. Each name starts from a folder.
    struct Rename<'a> = "sensor:rename" {
        pid: Pid,
        comm: Comm,
        oldname: Str<'a, 256>,
        oldlength: usize,
        oldfolder: Str<'a, 256>,
        oldmajor: u32,
        oldminor: u32,
        oldinode: u64,
        newname: Str<'a, 256>,
        newlength: usize,
        newfolder: Str<'a, 256>,
        newmajor: u32,
        newminor: u32,
        newinode: u64,
    }
}

kprobes::trace_event! {
    /// A file or a directory is to be removed. The name starts from the folder.
    struct Unlink<'a> = "sensor:unlink" {
        pid: Pid,
        comm: Comm,
        directory: bool,
        pathname: Str<'a, 256>,
        length: usize,
        folder: Str<'a, 256>,
        major: u32,
        minor: u32,
        inode: u64,
    }
}

kprobes::trace_event! {
    /// A socket is to be connected. In the address of a Unix socket, `\0` is a NUL, with which an
    /// abstract name begins, and `\\` a backslash.
    struct Connect<'a> = "sensor:connect" {
        pid: Pid,
        comm: Comm,
        family: u16,
        port: u16,
        address: Str<'a, 216>,
    }
}

struct CommitCreds;

impl entry::Handler for CommitCreds {
    fn entry(&self, cx: &entry::Context<'_>) {
        // Without readable memory there is no event; an unreadable string is (fault).
        let _ = credentials(cx);
    }
}

fn credentials(cx: &entry::Context<'_>) -> Result {
    let new: KernelPtr = cx.arg0();
    let id = |offset| new.field::<u32>(offset).read();
    let creds = Creds {
        pid: cx.pid(),
        comm: cx.comm(),
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

struct Executed;

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

/// How many attempts may be in flight, waiting for a disk for example.
const AT_ONCE: u16 = 256;

struct Attempts;

#[vtable]
impl kretprobe::Handler for Attempts {
    // The descriptor and the path, and the address space that the path is in.
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
            // The kernel has read it, so it is present, unless the old program is gone already.
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

/// A path, and the folder that it starts from.
struct Path {
    name: [u8; 256],
    folder: [u8; 256],
}

/// The same, as fields of a record.
struct Fields<'a> {
    name: Str<'a, 256>,
    length: usize,
    folder: Str<'a, 256>,
    id: FileId,
}

impl Path {
    fn new() -> Self {
        Self {
            name: [0; 256],
            folder: [0; 256],
        }
    }

    /// Fails if the kernel has not got the path.
    fn read(&mut self, cx: &entry::Context<'_>, fd: i32, path: Filename) -> Result<Fields<'_>> {
        let path = path.name()?;
        let name = path.read(&mut self.name);
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
        let folder = start.and_then(|start| start.path(&mut self.folder));
        Ok(Fields {
            name: name.into(),
            length: path.length(PATH_MAX).unwrap_or(0),
            // There may be no such descriptor.
            folder: folder.map_or(Str::new(b"(none)"), |folder| Str::new(folder)),
            id: start.and_then(Dentry::id).unwrap_or_default(),
        })
    }
}

struct Renames;

impl entry::Handler for Renames {
    fn entry(&self, cx: &entry::Context<'_>) {
        let (oldfd, oldname, newfd, newname) = cx.args();
        let (mut old, mut new) = (Path::new(), Path::new());
        if let (Ok(old), Ok(new)) = (old.read(cx, oldfd, oldname), new.read(cx, newfd, newname)) {
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

impl entry::Handler for Unlinks {
    fn entry(&self, cx: &entry::Context<'_>) {
        let (fd, pathname) = cx.args();
        let mut path = Path::new();
        if let Ok(path) = path.read(cx, fd, pathname) {
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

/// An address as text.
struct Text {
    bytes: [u8; 216],
    len: usize,
}

impl Text {
    fn push(&mut self, bytes: &[u8]) -> core::fmt::Result {
        let room = self.bytes.get_mut(self.len..).ok_or(core::fmt::Error)?;
        let to = room.get_mut(..bytes.len()).ok_or(core::fmt::Error)?;
        to.copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.push(text.as_bytes())
    }
}

struct Connects;

impl entry::Handler for Connects {
    fn entry(&self, cx: &entry::Context<'_>) {
        let _ = connect(cx);
    }
}

fn connect(cx: &entry::Context<'_>) -> Result {
    const AF_UNIX: u16 = 1;
    const AF_INET: u16 = 2;
    const AF_INET6: u16 = 10;

    // What is behind the length is of an earlier call.
    let (_socket, address, length): (KernelPtr, KernelPtr<u16>, i32) = cx.args();
    let length = usize::try_from(length)?;
    let family = if length < 2 { 0 } else { address.read()? };
    let mut port = 0;
    let mut text = Text {
        bytes: [0; 216],
        len: 0,
    };
    // All that can be written fits.
    let _ = match family {
        AF_INET if length >= 8 => {
            port = u16::from_be_bytes(address.field(2).read()?);
            let ip = Ipv4Addr::from(address.field::<[u8; 4]>(4).read()?);
            write!(text, "{ip}")
        }
        AF_INET6 if length >= 24 => {
            port = u16::from_be_bytes(address.field(2).read()?);
            let ip = Ipv6Addr::from(address.field::<[u8; 16]>(8).read()?);
            write!(text, "{ip}")
        }
        AF_UNIX => {
            let name: [u8; 108] = address.field(2).read()?;
            let name = name.get(..length - 2).unwrap_or(&name);
            // A path ends at its NUL, if it has one. An abstract name begins with one.
            let path = |&byte: &u8| byte != 0 || name.first() == Some(&0);
            name.iter()
                .copied()
                .take_while(path)
                .try_for_each(|byte| match byte {
                    0 => text.push(b"\\0"),
                    b'\\' => text.push(b"\\\\"),
                    byte => text.push(&[byte]),
                })
        }
        _ => Ok(()),
    };
    Connect {
        pid: cx.pid(),
        comm: cx.comm(),
        family,
        port,
        address: Str::new(text.bytes.get(..text.len).unwrap_or(&[])),
    }
    .emit(cx);
    Ok(())
}

/// A probe that listeners of an event arm.
type Probe<P> = Pin<KBox<Armed<P>>>;

struct Sensor {
    _creds: Probe<Entry<CommitCreds>>,
    _exec: Probe<Tracepoint<Executed>>,
    _exec_failed: Probe<KretprobeSet<Attempts>>,
    _rename: Probe<Entry<Renames>>,
    _unlink: Probe<EntrySet<Unlinks>>,
    _connect: Probe<Entry<Connects>>,
}

impl kernel::Module for Sensor {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let removals = [c"filename_unlinkat", c"filename_rmdir"].map(Target::symbol);
        let attempts = [kprobes::syscall!("execve"), kprobes::syscall!("execveat")];
        let options = kretprobe::Options::default().max_active(AT_ONCE);
        let attempts = KretprobeSet::with_options(&attempts, options, Attempts);
        let symbol = Target::symbol;
        let creds = Creds::arms(Entry::new(symbol(c"commit_creds"), CommitCreds));
        let exec = Execs::arms(Tracepoint::new(c"sched_process_exec", Executed));
        let exec_failed = ExecFailed::arms(attempts);
        let rename = Rename::arms(Entry::new(symbol(c"filename_renameat2"), Renames));
        let unlink = Unlink::arms(EntrySet::new(&removals, Unlinks));
        let connect = Connect::arms(Entry::new(symbol(c"security_socket_connect"), Connects));
        Ok(Self {
            _creds: KBox::pin_init(creds, GFP_KERNEL)?,
            _exec: KBox::pin_init(exec, GFP_KERNEL)?,
            _exec_failed: KBox::pin_init(exec_failed, GFP_KERNEL)?,
            _rename: KBox::pin_init(rename, GFP_KERNEL)?,
            _unlink: KBox::pin_init(unlink, GFP_KERNEL)?,
            _connect: KBox::pin_init(connect, GFP_KERNEL)?,
        })
    }
}
