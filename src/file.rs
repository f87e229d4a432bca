// SPDX-License-Identifier: GPL-2.0

//! Paths, files and directories, as the kernel's own pointers lead to them.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/dcache.h`](srctree/include/linux/dcache.h)
//!
//! At the entry of a system call, a path is in user memory, which may not be present. The kernel
//! copies it into a `struct filename`, which it passes on: see [`Filename`].
//!
//! All of this reads without locks and faults. What another CPU changes meanwhile may read as it
//! was, as it is, or as a mix of both.
//!
//! Context: any; nothing here sleeps, locks or faults.

use crate::common::*;

/// How many names [`Dentry::path`] has at most.
const MAX_NAMES: usize = 16;
/// What a path begins with that is cut.
const CUT: &[u8] = b"...";
/// The longest name in a directory, with its NUL.
const NAME_SIZE: usize = bindings::NAME_MAX as usize + 1;

macro_rules! pointer {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq)]
        pub struct $name(KernelPtr);
        from_address!($name, |addr| Self(KernelPtr::new(addr)));
    };
}

pointer! {
    /// A `struct filename *`: the kernel's copy of a path that a program has passed to a system
    /// call.
    Filename
}

impl Filename {
    /// Returns the path.
    ///
    /// Errors: `EFAULT` if there is none: the pointer is an error, because the kernel could not
    /// read the path, or it was empty or too long.
    #[inline]
    pub fn name(self) -> Result<KernelStr> {
        self.0.field(bindings::KPROBES_FILENAME_NAME).read()
    }
}

/// Which file it is: its device, as in `/proc/PID/maps`, and its inode.
///
/// stat(2) reports another device on file systems with subvolumes, such as Btrfs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileId {
    /// The major number of the device.
    pub major: u32,
    /// The minor number of the device.
    pub minor: u32,
    /// The number of the inode.
    pub inode: u64,
}

impl FileId {
    #[inline]
    fn of(inode: KernelPtr) -> Result<Self> {
        let sb: KernelPtr = inode.field(bindings::KPROBES_INODE_SB).read()?;
        let device: u32 = sb.field(bindings::KPROBES_SB_DEVICE).read()?;
        Ok(Self {
            major: device >> bindings::KPROBES_MINOR_BITS,
            minor: device & ((1 << bindings::KPROBES_MINOR_BITS) - 1),
            inode: inode.field(bindings::KPROBES_INODE_NUMBER).read()?,
        })
    }
}

pointer! {
    /// A `struct file *`: an open file. Its methods fail with `EFAULT` if it cannot be read.
    File
}

impl File {
    /// Returns which file is open.
    #[inline]
    pub fn id(self) -> Result<FileId> {
        FileId::of(self.0.field(bindings::KPROBES_FILE_INODE).read()?)
    }

    /// Returns the entry of a directory through which it was opened.
    #[inline]
    pub fn dentry(self) -> Result<Dentry> {
        self.0.field(bindings::KPROBES_FILE_DENTRY).read()
    }
}

pointer! {
    /// A `struct dentry *`: an entry of a directory. Its methods fail with `EFAULT` if it cannot be
    /// read.
    Dentry
}

impl Dentry {
    /// Returns that directory of the current task's `struct fs_struct`.
    #[inline]
    fn of_task(offset: usize) -> Result<Self> {
        // SAFETY: `fs` is a pointer, and that is its offset.
        let fs: KernelPtr = unsafe { current_field(bindings::KPROBES_TASK_FS) };
        fs.field(offset).read()
    }

    /// Returns which file or directory it is.
    ///
    /// Errors: `EFAULT` if it cannot be read, or there is no such file.
    #[inline]
    pub fn id(self) -> Result<FileId> {
        FileId::of(self.0.field(bindings::KPROBES_DENTRY_INODE).read()?)
    }

    /// Reads its name into `buf`. It is at most 255 bytes long; that of a root is `/`.
    #[inline]
    pub fn name(self, buf: &mut [u8]) -> Result<Text<'_>> {
        let name: KernelStr = self.0.field(bindings::KPROBES_DENTRY_NAME).read()?;
        name.read(buf)
    }

    /// Returns the directory that it is in, or `None` if it is the root of its file system, or of
    /// what has no name.
    #[inline]
    pub fn parent(self) -> Result<Option<Self>> {
        let parent = self.0.field(bindings::KPROBES_DENTRY_PARENT).read()?;
        Ok((parent != self).then_some(parent))
    }

    /// Writes the path from the root of its file system to the end of `buf`, and returns it.
    ///
    /// It has 16 names at most, and begins with `...` if there are more, or if they do not fit.
    /// What the file system is mounted on, it does not have. Unlike `d_path()`, this takes no lock.
    ///
    /// Errors: `EFAULT` if a name cannot be read.
    #[inline]
    pub fn path<const SIZE: usize>(self, buf: &mut [u8; SIZE]) -> Result<&BStr> {
        const { assert!(SIZE > CUT.len(), "the buffer must have at least 4 bytes") };
        let mut start = SIZE;
        let mut here = self;
        for names in 0.. {
            let Some(parent) = here.parent()? else {
                if start == SIZE {
                    start -= 1;
                    buf[start] = b'/';
                }
                break;
            };
            let mut name = [0; NAME_SIZE];
            let name = here.name(&mut name)?.as_bytes();
            // There is always room for the mark.
            let room = &mut buf[CUT.len()..start];
            if names == MAX_NAMES || room.len() <= name.len() {
                start -= CUT.len();
                buf[start..][..CUT.len()].copy_from_slice(CUT);
                break;
            }
            start -= name.len();
            buf[start..][..name.len()].copy_from_slice(name);
            start -= 1;
            buf[start] = b'/';
            here = parent;
        }
        Ok(BStr::from_bytes(&buf[start..]))
    }
}

impl<At: Place> Context<'_, At> {
    /// Returns the current task's working directory.
    ///
    /// Errors: `EFAULT` if it has none, as an exiting task.
    pub fn working_directory(&self) -> Result<Dentry> {
        Dentry::of_task(bindings::KPROBES_FS_PWD)
    }

    /// Returns the current task's root directory.
    ///
    /// Errors: `EFAULT` if it has none, as an exiting task.
    pub fn root_directory(&self) -> Result<Dentry> {
        Dentry::of_task(bindings::KPROBES_FS_ROOT)
    }

    /// Returns the file of the program that the current task runs, as `/proc/PID/exe` has it.
    ///
    /// # Errors
    ///
    /// - `ENOENT`: a kernel thread has none;
    /// - `EFAULT`: it cannot be read, as that of an exiting task.
    #[inline]
    pub fn exe_file(&self) -> Result<File> {
        if self.is_kernel_thread() {
            return Err(ENOENT);
        }
        self.mm().field(bindings::KPROBES_MM_EXE_FILE).read()
    }

    /// Reads the name of that file into `buf`, without its directory. Unlike
    /// [`comm`](Context::comm), the program cannot change it, and it is not cut to 15 bytes.
    ///
    /// Errors: those of [`exe_file`](Context::exe_file).
    #[inline]
    pub fn exe_name<'b>(&self, buf: &'b mut [u8]) -> Result<Text<'b>> {
        self.exe_file()?.dentry()?.name(buf)
    }

    /// Returns the current task's open file with this descriptor.
    ///
    /// Errors: `EBADF` if there is none; `EFAULT` if the table of files cannot be read, as that of
    /// an exiting task.
    pub fn file(&self, fd: i32) -> Result<File> {
        // SAFETY: `files` is a pointer, and that is its offset.
        let files: KernelPtr = unsafe { current_field(bindings::KPROBES_TASK_FILES) };
        let table: KernelPtr = files.field(bindings::KPROBES_FILES_TABLE).read()?;
        let max: u32 = table.field(bindings::KPROBES_TABLE_MAX).read()?;
        let n = u32::try_from(fd).map_err(|_| EBADF)?;
        if n >= max {
            return Err(EBADF);
        }
        let first: KernelPtr<usize> = table.field(bindings::KPROBES_TABLE_FILES).read()?;
        match first.element(n as usize).read()? {
            0 => Err(EBADF),
            file => Ok(File::new(file)),
        }
    }
}
