// SPDX-License-Identifier: GPL-2.0

//! Files, directory entries and paths in kernel memory.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/dcache.h`](srctree/include/linux/dcache.h)
//!
//! Context: any; nothing here sleeps, locks or faults. If another CPU concurrently changes a path
//! or a file, a method may return the old state, the new state, or a mix of both.

use crate::common::*;

/// The limit of names in [`Dentry::path`].
const MAX_NAMES: usize = 16;
/// The beginning of a truncated path.
const ELLIPSIS: &[u8] = b"...";
/// The size of the longest name in a directory, with its NUL.
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
    /// call. At the entry of the system call, the path is only in user memory, which may not be
    /// present.
    Filename
}

impl Filename {
    /// Returns the path.
    ///
    /// Errors: `EFAULT` if the pointer is an error pointer, because the path was empty, too long or
    /// not readable.
    #[inline]
    pub fn name(self) -> Result<KernelStr> {
        self.0.field(bindings::KPROBES_FILENAME_NAME).read()
    }
}

/// Identifies a file by its device, as in `/proc/PID/maps`, and its inode number.
///
/// On file systems with subvolumes, such as Btrfs, stat(2) reports another device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileId {
    /// The major number of the device.
    pub major: u32,
    /// The minor number of the device.
    pub minor: u32,
    /// The inode number.
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
    /// A `struct file *`: an open file. Methods fail with `EFAULT` if it cannot be read.
    File
}

impl File {
    /// Returns the device and inode number.
    #[inline]
    pub fn id(self) -> Result<FileId> {
        FileId::of(self.0.field(bindings::KPROBES_FILE_INODE).read()?)
    }

    /// Returns the directory entry through which the file was opened.
    #[inline]
    pub fn dentry(self) -> Result<Dentry> {
        self.0.field(bindings::KPROBES_FILE_DENTRY).read()
    }
}

pointer! {
    /// A `struct dentry *`: a directory entry. Methods fail with `EFAULT` if it cannot be read.
    Dentry
}

impl Dentry {
    /// Returns the directory at `offset` in the current task's `struct fs_struct`.
    #[inline]
    fn of_task(offset: usize) -> Result<Self> {
        // SAFETY: `fs` is a pointer, and that is its offset.
        let fs: KernelPtr = unsafe { current_field(bindings::KPROBES_TASK_FS) };
        fs.field(offset).read()
    }

    /// Returns the device and inode number.
    ///
    /// Errors: `EFAULT`, also for a negative dentry: the file does not exist.
    #[inline]
    pub fn id(self) -> Result<FileId> {
        FileId::of(self.0.field(bindings::KPROBES_DENTRY_INODE).read()?)
    }

    /// Reads the name into `buf`. It has at most 255 bytes; the name of a root is `/`.
    #[inline]
    pub fn name(self, buf: &mut [u8]) -> Result<Text<'_>> {
        let name: KernelStr = self.0.field(bindings::KPROBES_DENTRY_NAME).read()?;
        name.read(buf)
    }

    /// Returns the parent directory, or `None` for the root of a file system, and for a file that
    /// is in no directory, such as a pipe.
    #[inline]
    pub fn parent(self) -> Result<Option<Self>> {
        let parent = self.0.field(bindings::KPROBES_DENTRY_PARENT).read()?;
        Ok((parent != self).then_some(parent))
    }

    /// Writes the path to the end of `buf`, and returns it.
    ///
    /// The path starts at the root of the file system: the mount point is not part of it. It has 16
    /// names at most, and begins with `...` if there are more, or if they do not fit. Unlike
    /// `d_path()`, this takes no lock.
    ///
    /// Errors: `EFAULT` if a name cannot be read.
    #[inline]
    pub fn path<const SIZE: usize>(self, buf: &mut [u8; SIZE]) -> Result<&BStr> {
        const {
            assert!(
                SIZE > ELLIPSIS.len(),
                "the buffer must have at least 4 bytes"
            )
        };
        let mut start = SIZE;
        let mut dentry = self;
        for names in 0.. {
            let Some(parent) = dentry.parent()? else {
                if start == SIZE {
                    start -= 1;
                    buf[start] = b'/';
                }
                break;
            };
            let mut name = [0; NAME_SIZE];
            let name = dentry.name(&mut name)?.as_bytes();
            let room = &mut buf[ELLIPSIS.len()..start];
            if names == MAX_NAMES || room.len() <= name.len() {
                start -= ELLIPSIS.len();
                buf[start..][..ELLIPSIS.len()].copy_from_slice(ELLIPSIS);
                break;
            }
            start -= name.len();
            buf[start..][..name.len()].copy_from_slice(name);
            start -= 1;
            buf[start] = b'/';
            dentry = parent;
        }
        Ok(BStr::from_bytes(&buf[start..]))
    }
}

impl<At: Place> Context<'_, At> {
    /// Returns the current task's working directory.
    ///
    /// Errors: `EFAULT` after an exiting task has released it.
    pub fn working_directory(&self) -> Result<Dentry> {
        Dentry::of_task(bindings::KPROBES_FS_PWD)
    }

    /// Returns the current task's root directory.
    ///
    /// Errors: `EFAULT` after an exiting task has released it.
    pub fn root_directory(&self) -> Result<Dentry> {
        Dentry::of_task(bindings::KPROBES_FS_ROOT)
    }

    /// Returns the file of the program that the current task runs: that of `/proc/PID/exe`.
    ///
    /// Errors: `ENOENT` in a kernel thread; `EFAULT` after an exiting task has released it.
    #[inline]
    pub fn exe_file(&self) -> Result<File> {
        if self.is_kernel_thread() {
            return Err(ENOENT);
        }
        self.mm().field(bindings::KPROBES_MM_EXE_FILE).read()
    }

    /// Reads the name of the [`exe_file`](Context::exe_file) into `buf`, without its directory.
    /// Unlike [`comm`](Context::comm), a program cannot change it, and it may exceed 15 bytes.
    ///
    /// Errors: those of [`exe_file`](Context::exe_file).
    #[inline]
    pub fn exe_name<'b>(&self, buf: &'b mut [u8]) -> Result<Text<'b>> {
        self.exe_file()?.dentry()?.name(buf)
    }

    /// Returns the current task's open file with the descriptor `fd`.
    ///
    /// Errors: `EBADF` if no such file is open; `EFAULT` after an exiting task has released it.
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
