// SPDX-License-Identifier: GPL-2.0

//! `Context`: arguments of all widths and signs, results, the current task.

use crate::targets::*;
use core::hint::black_box;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::Atomic,
        SpinLock, //
    }, //
};
use kprobes::{
    kprobe, kretprobe, nofault::KernelPtr, Comm, Context, Dentry, Exec, File, Filename, FromWord,
    Kprobe, Kretprobe, PerCpuCounts, Return, Target,
};

/// Stores a value that a closure reads at each hit.
#[pin_data]
struct Taken<T, F> {
    #[pin]
    value: SpinLock<Option<T>>,
    take: F,
}

#[vtable]
impl<T, F> kprobe::Handler for Taken<T, F>
where
    T: Send + Unpin + 'static,
    F: Fn(&Context<'_>) -> T + Send + Sync + 'static,
{
    fn pre(&self, cx: &Context<'_>) {
        // A handler must not wait for a lock, whose holder it may have interrupted.
        if let Some(mut value) = self.value.try_lock() {
            *value = Some((self.take)(cx));
        }
    }
}

/// Runs `call` and returns what `take` reads at the entry of `name`.
fn at_entry<T, F>(name: &CStr, take: F, call: impl FnOnce()) -> Result<T>
where
    T: Send + Unpin + 'static,
    F: Fn(&Context<'_>) -> T + Send + Sync + 'static,
{
    at(Target::symbol(name), take, call)
}

/// Runs `call` and returns what `take` reads at `target`.
fn at<T, F>(target: Target<'_>, take: F, call: impl FnOnce()) -> Result<T>
where
    T: Send + Unpin + 'static,
    F: Fn(&Context<'_>) -> T + Send + Sync + 'static,
{
    let handler = try_pin_init!(Taken {
        value <- new_spinlock!(None),
        take,
    }? Error);
    let probe = KBox::pin_init(Kprobe::new(target, handler), GFP_KERNEL)?;
    call();
    let value = probe.handler().value.lock().take();
    value.ok_or(ENOENT)
}

/// Stores a value that a closure reads at each return.
#[pin_data]
struct Results<T, F> {
    #[pin]
    value: SpinLock<Option<T>>,
    take: F,
}

#[vtable]
impl<T, F> kretprobe::Handler for Results<T, F>
where
    T: Send + Unpin + 'static,
    F: Fn(&Context<'_, Return>) -> T + Send + Sync + 'static,
{
    type Data = ();

    fn ret(&self, cx: &Context<'_, Return>, (): ()) {
        // A handler must not wait for a lock, whose holder it may have interrupted.
        if let Some(mut value) = self.value.try_lock() {
            *value = Some((self.take)(cx));
        }
    }
}

/// Runs `call` and returns what `take` reads at the return of `target`.
fn at_return<T, F>(target: &CStr, take: F, call: impl FnOnce()) -> Result<T>
where
    T: Send + Unpin + 'static,
    F: Fn(&Context<'_, Return>) -> T + Send + Sync + 'static,
{
    let handler = try_pin_init!(Results {
        value <- new_spinlock!(None),
        take,
    }? Error);
    let probe = KBox::pin_init(Kretprobe::new(Target::symbol(target), handler), GFP_KERNEL)?;
    call();
    let value = probe.handler().value.lock().take();
    value.ok_or(ENOENT)
}

fn int(value: i32) -> impl FnOnce() {
    move || {
        kut_int_result(value);
    }
}

fn long(value: isize) -> impl FnOnce() {
    move || {
        kut_long_result(value);
    }
}

/// The CPU registers of the arguments in their order, and those that `kut_registers()` sets, with
/// its values.
#[cfg(CONFIG_X86_64)]
mod names {
    use kprobes::regs::Register::{
        self,
        *, //
    };

    pub(super) const ARGUMENTS: [Register; 6] = [Di, Si, Dx, Cx, R8, R9];
    pub(super) const IP: Register = Ip;
    pub(super) const SP: Register = Sp;
    pub(super) const FLAGS: Register = Flags;
    #[rustfmt::skip]
    pub(super) const ALL: [(Register, usize); 15] = [
        (Ax, 101), (Bx, 102), (Cx, 103), (Dx, 104), (Si, 105), (Di, 106), (Bp, 107), (R8, 108),
        (R9, 109), (R10, 110), (R11, 111), (R12, 112), (R13, 113), (R14, 114), (R15, 115),
    ];
}

#[cfg(CONFIG_ARM64)]
mod names {
    use kprobes::regs::Register::{
        self,
        *, //
    };

    pub(super) const ARGUMENTS: [Register; 6] = [X(0), X(1), X(2), X(3), X(4), X(5)];
    pub(super) const IP: Register = Pc;
    pub(super) const SP: Register = Sp;
    pub(super) const FLAGS: Register = Pstate;
    pub(super) const ALL: [(Register, usize); 30] = {
        let mut all = [(X(0), 101); 30];
        let mut n = 0;
        while n < all.len() {
            // All but x18.
            let number = if n < 18 { n } else { n + 1 };
            all[n] = (X(number as u8), 101 + number);
            n += 1;
        }
        all
    };
}

use names::*;

type Integers = (u8, i8, u16, i16, u32, i32);
type Longs = (u64, i64, usize, isize, bool, KernelPtr);

#[kunit_tests(kprobes_contexts)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_all_widths_and_signs() -> Result {
        for wanted in [
            (0, 0, 0, 0, 0, 0),
            (1, 2, 3, 4, 5, 6),
            (u8::MAX, i8::MIN, u16::MAX, i16::MIN, u32::MAX, i32::MIN),
            (0x80, -1, 0x8000, -1, 0x8000_0000, -1),
        ] {
            let got: Integers = at_entry(
                c"kut_integers",
                |cx| cx.args(),
                || {
                    let (a, b, c, d, e, f) = black_box(wanted);
                    kut_integers(a, b, c, d, e, f);
                },
            )?;
            assert!(got == wanted);
        }
        Ok(())
    }

    #[test]
    fn longs_bools_and_pointers() -> Result {
        let here = KernelPtr::new(core::ptr::from_ref(&Atomic::new(0u64)) as usize);
        for wanted in [
            (0, 0, 0, 0, false, KernelPtr::new(0)),
            (u64::MAX, i64::MIN, usize::MAX, isize::MIN, true, here),
        ] {
            let got: Longs = at_entry(
                c"kut_long",
                |cx| cx.args(),
                || {
                    let (a, b, c, d, e, f) = black_box(wanted);
                    kut_long(a, b, c, d, e, f.addr() as *const c_void);
                },
            )?;
            assert!(got == wanted);
        }
        Ok(())
    }

    /// A small struct takes two registers. A large one is on the stack on x86-64, and on arm64 it
    /// takes a register, which points at it.
    #[test]
    fn structs_by_value() -> Result {
        if cfg!(CONFIG_ARM64) {
            let got: (u64, u64, KernelPtr<u64>, u64) =
                at_entry(c"kut_structs", |cx| cx.args(), || kut_call_structs())?;
            assert!((got.0, got.1, got.3) == (11, 12, 16));
        } else {
            let got: (u64, u64, u64) =
                at_entry(c"kut_structs", |cx| cx.args(), || kut_call_structs())?;
            assert!(got == (11, 12, 16));
            let on_the_stack = at_entry(
                c"kut_structs",
                |cx| KernelPtr::<[u64; 3]>::new(cx.sp() + 8).read(),
                || kut_call_structs(),
            )?;
            assert!(on_the_stack? == [13, 14, 15]);
        }
        Ok(())
    }

    #[test]
    fn each_argument_by_its_number() -> Result {
        let call = || {
            kut_long(11, 12, 13, 14, true, 16 as *const c_void);
        };
        assert_eq!(at_entry(c"kut_long", |cx| cx.arg::<usize>(0), call)?, 11);
        assert_eq!(at_entry(c"kut_long", |cx| cx.arg::<usize>(1), call)?, 12);
        assert_eq!(at_entry(c"kut_long", |cx| cx.arg::<usize>(2), call)?, 13);
        assert_eq!(at_entry(c"kut_long", |cx| cx.arg::<usize>(3), call)?, 14);
        assert_eq!(at_entry(c"kut_long", |cx| cx.arg::<u8>(4), call)?, 1);
        assert_eq!(at_entry(c"kut_long", |cx| cx.arg::<usize>(5), call)?, 16);
        Ok(())
    }

    #[test]
    fn registers_by_name() -> Result {
        let got = at_entry(
            c"kut_long",
            |cx| {
                let r = |name| cx.register(name);
                let mut args = ARGUMENTS.map(r);
                args[4] &= 0xff;
                let same = r(IP) == cx.ip() && r(SP) == cx.sp() && r(FLAGS) == cx.flags();
                (args, same)
            },
            || {
                kut_long(11, 12, 13, 14, true, 16 as *const c_void);
            },
        )?;
        assert!(got == ([11, 12, 13, 14, 1, 16], true));
        Ok(())
    }

    #[test]
    fn all_registers() -> Result {
        let target = Target::symbol(c"kut_registers").offset(registers_at());
        let got = at(
            target,
            |cx| ALL.map(|(r, value)| cx.register(r) == value),
            || kut_registers(),
        )?;
        assert!(got.iter().all(|&same| same));
        Ok(())
    }

    #[test]
    fn system_call() -> Result {
        let got = at_entry(
            c"kut_syscall",
            |cx| cx.syscall_args::<(u32, u32, u32, u32, u32, u32)>(),
            || kut_call_syscall(),
        )??;
        assert!(got == (11, 12, 13, 14, 15, 16));
        Ok(())
    }

    #[test]
    fn no_system_call() -> Result {
        let got = at_entry(
            c"kut_div",
            |cx| cx.syscall_args::<(u32,)>(),
            || {
                kut_div(some());
            },
        )?;
        assert!(got == Err(EFAULT));
        Ok(())
    }

    #[test]
    fn results_of_int() -> Result {
        let name = c"kut_int_result";
        assert!(at_return(name, |cx| cx.ret::<i32>(), int(-5))? == -5);
        assert!(at_return(name, |cx| cx.ret::<u32>(), int(-5))? == (-5i32) as u32);
        assert!(at_return(name, |cx| cx.ret::<Result>(), int(0))? == Ok(()));
        assert!(at_return(name, |cx| cx.ret::<Result>(), int(-2))? == Err(ENOENT));
        assert!(at_return(name, |cx| cx.ret::<Result<u32>>(), int(3))? == Ok(3));
        assert!(at_return(name, |cx| cx.ret::<Result<u32>>(), int(-22))? == Err(EINVAL));
        assert!(at_return(name, |cx| cx.ret::<Result<i32>>(), int(-4095))?.is_err());
        assert!(at_return(name, |cx| cx.ret::<Result<i32>>(), int(-4096))? == Ok(-4096));
        Ok(())
    }

    #[test]
    fn results_of_long() -> Result {
        let name = c"kut_long_result";
        assert!(at_return(name, |cx| cx.ret::<isize>(), long(-5))? == -5);
        assert!(at_return(name, |cx| cx.ret::<Result<usize>>(), long(9))? == Ok(9));
        assert!(at_return(name, |cx| cx.ret::<Result<usize>>(), long(-2))? == Err(ENOENT));
        assert!(at_return(name, |cx| cx.ret::<Result<isize>>(), long(-4096))? == Ok(-4096));
        // The low 32 bits of this 64-bit number look like an error.
        let large = 0xffff_fffe_isize;
        assert!(at_return(name, |cx| cx.ret::<Result<u64>>(), long(large))? == Ok(0xffff_fffe));
        let pointer = at_return(name, |cx| cx.ret::<Result<KernelPtr>>(), long(-12))?;
        assert!(pointer.err() == Some(ENOMEM));
        let pointer = at_return(name, |cx| cx.ret::<Result<KernelPtr>>(), long(0x1000))?;
        assert_eq!(pointer?.addr(), 0x1000);
        Ok(())
    }

    #[test]
    fn counters_of_each_cpu() -> Result {
        kprobes::per_cpu_counts! {
            static STATIC: 3;
        }
        let before: [u64; 4] = core::array::from_fn(|n| STATIC.get(n));
        STATIC.inc(0);
        STATIC.inc(2);
        STATIC.inc(2);
        STATIC.inc(3);
        let after: [u64; 4] = core::array::from_fn(|n| STATIC.get(n) - before[n]);
        assert!(after == [1, 0, 2, 0]);

        let counts = PerCpuCounts::<3>::new()?;
        for n in [0, 2, 2, 2, 3, usize::MAX] {
            counts.inc(n);
        }
        let got = [0, 1, 2, 3].map(|n| counts.get(n));
        assert!(got == [1, 0, 3, 0]);
        Ok(())
    }

    #[test]
    fn task() -> Result {
        let (pid, tgid, comm, kernel, cpu, addresses): (_, _, Comm, _, _, _) = at_entry(
            c"kut_div",
            |cx| {
                (
                    cx.pid(),
                    cx.tgid(),
                    cx.comm(),
                    cx.is_kernel_thread(),
                    cx.cpu(),
                    (cx.address().as_usize(), cx.ip()),
                )
            },
            || {
                kut_div(some());
            },
        )?;
        assert_eq!(pid, current!().pid());
        assert_eq!(tgid, pid);
        // KUnit runs each case in a kernel thread.
        assert!(kernel);
        assert!(comm.as_bytes().starts_with(b"kunit"));
        assert!(cpu < kernel::cpu::nr_cpu_ids());
        assert!(addresses.1.wrapping_sub(addresses.0) <= 16);
        Ok(())
    }

    /// A kernel thread, in which KUnit runs each case, has a root directory, but no open file.
    #[test]
    fn files_and_program() -> Result {
        let look = |cx: &Context<'_>| {
            let mut buf = [0; 4];
            let root = cx.root_directory()?;
            Ok([
                root.name(&mut buf)?.as_bytes() == b"/",
                **root.path(&mut buf)? == *b"/",
                root.parent()?.is_none(),
                root.id()?.inode != 0,
                cx.working_directory()?.id()? == root.id()?,
                [-1, 0, i32::MAX]
                    .iter()
                    .all(|&fd| cx.file(fd).err() == Some(EBADF)),
            ])
        };
        let seen: Result<[bool; 6]> = at_entry(c"kut_div", look, || {
            kut_div(some());
        })?;
        assert!(seen? == [true; 6]);

        let arguments = |cx: &Context<'_>| {
            let mut buf = [0; 4];
            let mut all = cx.program_arguments()?;
            Ok((cx.mm().is_null(), all.read_next(&mut buf).is_none()))
        };
        let call = || {
            kut_div(some());
        };
        let none: Result<(bool, bool)> = at_entry(c"kut_div", arguments, call)?;
        assert!(none.err() == Some(EFAULT));
        // KUnit gives the thread an address space for it, without arguments.
        assert!(kut_user_page() != 0);
        assert!(at_entry(c"kut_div", arguments, call)?? == (false, true));
        Ok(())
    }

    #[test]
    fn files_and_programs_that_are_none() {
        let mut buf = [0; 8];
        for at in [0, 8, usize::MAX - 1] {
            assert!(Filename::new(at).name().is_err());
            assert!(File::new(at).id().is_err() && File::new(at).dentry().is_err());
            assert!(Dentry::new(at).id().is_err() && Dentry::new(at).parent().is_err());
            assert!(Dentry::new(at).path(&mut buf).is_err());
            let exec = Exec::from_word(at);
            assert!(exec.argc().is_err() && exec.filename().is_err() && exec.interp().is_err());
        }
    }
}
