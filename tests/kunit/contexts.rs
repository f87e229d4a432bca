// SPDX-License-Identifier: GPL-2.0

//! `Context`: arguments of all widths and signs, results, the current task.

use crate::targets::*;
use core::hint::black_box;
use kernel::new_spinlock;
use kernel::sync::SpinLock;
use kprobes::nofault::KernelPtr;

type Slot<T> = Pin<KBox<SpinLock<Option<T>>>>;

fn slot<T>() -> Result<Slot<T>> {
    KBox::pin_init(new_spinlock!(None), GFP_KERNEL)
}

fn store<T: Unpin>(slot: &Slot<T>, value: T) {
    // A handler must not wait for a lock: it may have interrupted the owner.
    if let Some(mut last) = slot.try_lock() {
        *last = Some(value);
    }
}

/// Runs `call` and returns what `take` read in a handler at `target`.
pub(crate) fn at<T, F, R>(target: Target<'_>, take: F, call: impl FnOnce() -> R) -> Result<T>
where
    T: Send + Unpin + 'static,
    F: Fn(&kprobe::Context<'_>) -> T + Send + Sync + 'static,
{
    let store = move |slot: &Slot<T>, cx: &kprobe::Context<'_>| store(slot, take(cx));
    let probe = boxed(Kprobe::new(target, On(slot()?, store)))?;
    call();
    let value = probe.handler().0.lock().take();
    value.ok_or(ENOENT)
}

fn at_return<T, F, R>(target: Target<'_>, take: F, call: impl FnOnce() -> R) -> Result<T>
where
    T: Send + Unpin + 'static,
    F: Fn(&kretprobe::ReturnContext<'_>) -> T + Send + Sync + 'static,
{
    let store = move |slot: &Slot<T>, cx: &kretprobe::ReturnContext<'_>| store(slot, take(cx));
    let probe = boxed(Kretprobe::new(target, On(slot()?, store)))?;
    call();
    let value = probe.handler().0.lock().take();
    value.ok_or(ENOENT)
}

fn int(value: i32) -> impl FnOnce() -> i32 {
    move || kut_int_result(value)
}

fn long(value: isize) -> impl FnOnce() -> isize {
    move || kut_long_result(value)
}

/// The registers of the arguments, and the registers and values that `kut_registers()` sets.
#[cfg(CONFIG_X86_64)]
mod names {
    use kprobes::regs::Register;
    use kprobes::regs::Register::*;

    pub(super) const ARGUMENTS: [Register; 6] = [Di, Si, Dx, Cx, R8, R9];
    pub(super) const IP: Register = Ip;
    pub(super) const SP: Register = Sp;
    pub(super) const FLAGS: Register = Flags;
    pub(super) fn all() -> [(Register, usize); 15] {
        let all = [
            Ax, Bx, Cx, Dx, Si, Di, Bp, R8, R9, R10, R11, R12, R13, R14, R15,
        ];
        core::array::from_fn(|n| (all[n], 101 + n))
    }
}

#[cfg(CONFIG_ARM64)]
mod names {
    use kprobes::regs::Register;
    use kprobes::regs::Register::*;

    pub(super) const ARGUMENTS: [Register; 6] = [X(0), X(1), X(2), X(3), X(4), X(5)];
    pub(super) const IP: Register = Pc;
    pub(super) const SP: Register = Sp;
    pub(super) const FLAGS: Register = Pstate;
    pub(super) fn all() -> [(Register, usize); 30] {
        // All but x18.
        let number = |n| n + usize::from(n >= 18);
        core::array::from_fn(|n| (X(number(n) as u8), 101 + number(n)))
    }
}

#[cfg(CONFIG_RISCV)]
mod names {
    use kprobes::regs::Register;
    use kprobes::regs::Register::*;

    pub(super) const ARGUMENTS: [Register; 6] = [X(10), X(11), X(12), X(13), X(14), X(15)];
    pub(super) const IP: Register = Pc;
    pub(super) const SP: Register = X(2);
    pub(super) const FLAGS: Register = Status;
    pub(super) fn all() -> [(Register, usize); 19] {
        core::array::from_fn(|n| (X(9 + n as u8), 110 + n))
    }
}

use names::*;

const LONG: Target<'static> = Target::symbol(c"kut_long");

type Integers = (u8, i8, u16, i16, u32, i32);
type Longs = (u64, i64, usize, isize, bool, KernelPtr);

/// The contexts of hits, in the bits of `kut_everywhere()`. Bit 31: a context was wrong.
struct Contexts(Atomic<u32>);

impl Contexts {
    fn note<At: Place>(&self, cx: &Context<'_, At>) {
        let (task, softirq) = (cx.in_task(), cx.in_serving_softirq());
        let seen = [task, softirq, cx.in_hardirq(), cx.in_nmi()];
        let seen = (0..4).fold(0, |bits, n| bits | u32::from(seen[n]) << n);
        // SAFETY: Only the caller of the probed function writes it.
        let right = seen == unsafe { (&raw const kut_context).read_volatile() };
        // A hit is never interrupted by another one.
        let bit = if right { 1 << seen } else { 1 << 31 };
        self.0.store(self.0.load(Relaxed) | bit, Relaxed);
    }

    fn is_right(&self) -> bool {
        self.0.store(0, Relaxed);
        let called = kut_everywhere();
        // At least in a task, a softirq and an interrupt.
        called & 0b10110 == 0b10110 && self.0.load(Relaxed) == called
    }
}

#[vtable]
impl tracepoint::Handler for Contexts {
    type Args = ();

    fn hit(&self, cx: &tracepoint::Context<'_>, (): ()) {
        self.note(cx);
    }
}

#[vtable]
impl kprobe::Handler for Contexts {
    fn post(&self, cx: &kprobe::PostContext<'_>) {
        self.note(cx);
    }
}

#[kunit_tests(kprobes_contexts)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_integers_of_any_width_and_sign() -> Result {
        let target = Target::symbol(c"kut_integers");
        for wanted in [
            (0, 0, 0, 0, 0, 0),
            (1, 2, 3, 4, 5, 6),
            (u8::MAX, i8::MIN, u16::MAX, i16::MIN, u32::MAX, i32::MIN),
            (0x80, -1, 0x8000, -1, 0x8000_0000, -1),
        ] {
            let (a, b, c, d, e, f) = black_box(wanted);
            let got: Integers = at(target, |cx| cx.args(), || kut_integers(a, b, c, d, e, f))?;
            assert!(got == wanted);
        }
        Ok(())
    }

    #[test]
    fn arguments_are_longs_bools_and_pointers() -> Result {
        let here = core::ptr::from_ref(&Atomic::new(0u64)) as usize;
        for (a, b, c, d, e, f) in [
            (0, 0, 0, 0, false, 0),
            (u64::MAX, i64::MIN, usize::MAX, isize::MIN, true, here),
        ] {
            let call = || kut_long(a, b, c, d, e, f as *const c_void);
            let got: Longs = at(LONG, |cx| cx.args(), call)?;
            assert!(got == (a, b, c, d, e, KernelPtr::new(f)));
        }
        Ok(())
    }

    /// A small struct takes two registers. A large one is on the stack on x86-64; elsewhere, a
    /// register points to it.
    #[test]
    fn arguments_are_structs_by_value() -> Result {
        let target = Target::symbol(c"kut_structs");
        let take = |cx: &kprobe::Context<'_>| <(_, _, _, _)>::into(cx.args());
        let [a, b, c, d]: [usize; 4] = at(target, take, || kut_call_structs())?;
        if cfg!(not(CONFIG_X86_64)) {
            assert_eq!([a, b, d], [11, 12, 16]);
        } else {
            assert_eq!([a, b, c], [11, 12, 16]);
            let large = |cx: &kprobe::Context<'_>| KernelPtr::<[u64; 3]>::new(cx.sp() + 8).read();
            assert!(at(target, large, || kut_call_structs())?? == [13, 14, 15]);
        }
        Ok(())
    }

    #[test]
    fn arguments_and_registers_are_read_by_name() -> Result {
        let call = || kut_long(11, 12, 13, 14, true, 16 as *const c_void);
        let look = |cx: &kprobe::Context<'_>| {
            let by_number: [usize; 5] = [cx.arg0(), cx.arg1(), cx.arg2(), cx.arg3(), cx.arg5()];
            let r = |name| cx.register(name);
            let same = r(IP) == cx.ip() && r(SP) == cx.sp() && r(FLAGS) == cx.flags();
            (by_number, cx.arg4::<u8>(), ARGUMENTS.map(r), same)
        };
        let (by_number, fifth, mut by_name, same) = at(LONG, look, call)?;
        assert_eq!(by_number, [11, 12, 13, 14, 16]);
        assert_eq!(fifth, 1);
        by_name[4] &= 0xff;
        assert_eq!(by_name, [11, 12, 13, 14, 1, 16]);
        assert!(same);
        Ok(())
    }

    #[test]
    fn all_registers_are_read() -> Result {
        let target = Target::symbol(c"kut_registers_set");
        let look = |cx: &kprobe::Context<'_>| all().map(|(r, value)| cx.register(r) == value);
        assert!(at(target, look, || kut_registers())?
            .iter()
            .all(|&same| same));
        Ok(())
    }

    #[test]
    fn system_call_arguments_are_read() -> Result {
        let target = Target::symbol(c"kut_syscall");
        type Args = (usize, u32, u32, u32, u32, u32);
        for compat in [true, false] {
            let all =
                |cx: &kprobe::Context<'_>| (cx.syscall_args::<Args>(), cx.in_compat_syscall());
            let (args, seen) = at(target, all, || kut_call_syscall(compat))?;
            assert!(args? == (11, 12, 13, 14, 15, 16) && seen == compat);
        }
        // Not a system call.
        assert!(at(DIV, |cx| cx.syscall_args::<(u32,)>(), || kut_div(some()))? == Err(EFAULT));
        Ok(())
    }

    #[test]
    fn int_results_are_read() -> Result {
        let target = Target::symbol(c"kut_int_result");
        assert!(at_return(target, |cx| cx.ret::<i32>(), int(-5))? == -5);
        assert!(at_return(target, |cx| cx.ret::<u32>(), int(-5))? == (-5i32) as u32);
        assert!(at_return(target, |cx| cx.ret::<Result>(), int(0))? == Ok(()));
        assert!(at_return(target, |cx| cx.ret::<Result>(), int(-2))? == Err(ENOENT));
        assert!(at_return(target, |cx| cx.ret::<Result<u32>>(), int(3))? == Ok(3));
        assert!(at_return(target, |cx| cx.ret::<Result<u32>>(), int(-22))? == Err(EINVAL));
        assert!(at_return(target, |cx| cx.ret::<Result<i32>>(), int(-4095))?.is_err());
        assert!(at_return(target, |cx| cx.ret::<Result<i32>>(), int(-4096))? == Ok(-4096));
        Ok(())
    }

    #[test]
    fn long_results_are_read() -> Result {
        let target = Target::symbol(c"kut_long_result");
        assert!(at_return(target, |cx| cx.ret::<isize>(), long(-5))? == -5);
        assert!(at_return(target, |cx| cx.ret::<Result<usize>>(), long(9))? == Ok(9));
        assert!(at_return(target, |cx| cx.ret::<Result<usize>>(), long(-2))? == Err(ENOENT));
        assert!(at_return(target, |cx| cx.ret::<Result<isize>>(), long(-4096))? == Ok(-4096));
        // The low 32 bits of this 64-bit number look like an error.
        let large = 0xffff_fffe_isize;
        assert!(at_return(target, |cx| cx.ret::<Result<u64>>(), long(large))? == Ok(0xffff_fffe));
        let pointer = at_return(target, |cx| cx.ret::<Result<KernelPtr>>(), long(-12))?;
        assert!(pointer.err() == Some(ENOMEM));
        let pointer = at_return(target, |cx| cx.ret::<Result<KernelPtr>>(), long(0x1000))?;
        assert_eq!(pointer?.addr(), 0x1000);
        Ok(())
    }

    #[test]
    fn a_context_identifies_the_task() -> Result {
        let look = |cx: &kprobe::Context<'_>| {
            let ids = [cx.pid(), cx.tgid(), cx.pid_vnr(), cx.tgid_vnr()];
            let thread = (
                cx.comm(),
                cx.is_kernel_thread(),
                cx.exe_name(&mut [0; 8]).err(),
            );
            let times = [cx.now_ns(), cx.start_time_ns(), cx.boot_ns()];
            (
                ids,
                thread,
                times,
                cx.cpu(),
                cx.address().as_usize(),
                cx.ip(),
            )
        };
        let found = at(DIV, look, || kut_div(some()))?;
        let (ids, (comm, kernel, exe), [now, started, boot], cpu, address, ip) = found;
        assert_eq!(ids, [current!().pid(); 4]);
        // KUnit runs each case in a kernel thread, which has no executable.
        assert!(kernel && exe == Some(ENOENT));
        assert!(comm.as_bytes().starts_with(b"kunit"));
        // The machine was never suspended.
        assert!(0 < started && started < boot && now <= boot && boot - now < 1_000_000_000);
        assert!(cpu < kernel::cpu::nr_cpu_ids());
        assert!(ip.wrapping_sub(address) <= 16);
        Ok(())
    }

    /// By ftrace, jump and breakpoint, which is entered like an NMI; at returns and tracepoints.
    #[test]
    fn a_context_identifies_task_softirq_interrupt_and_nmi() -> Result {
        let mix = Target::symbol(c"kut_mix");
        let pre = |seen: &Contexts, cx: &kprobe::Context<'_>| seen.note(cx);
        for target in [mix, mix.offset(offset_inside(5).ok_or(ENOENT)?)] {
            let probe = boxed(Kprobe::new(target, On(Contexts(Atomic::new(0)), pre)))?;
            #[cfg(CONFIG_X86_64)]
            while probe.mechanism() == Mechanism::Jump && opcode(&probe)? != 0xe9 {
                assert!(probe.handler().0.is_right());
                kernel::time::delay::fsleep(kernel::time::Delta::from_millis(5));
            }
            assert!(probe.handler().0.is_right());
            let around = boxed(Kprobe::new(target, Contexts(Atomic::new(0))))?;
            assert!(around.mechanism() != Mechanism::Jump);
            assert!(around.handler().is_right() && probe.handler().0.is_right());
        }
        let ret = |seen: &Contexts, cx: &kretprobe::ReturnContext<'_>| seen.note(cx);
        let probe = boxed(Kretprobe::new(mix, On(Contexts(Atomic::new(0)), ret)))?;
        assert!(probe.handler().0.is_right());
        let entry = |seen: &Contexts, cx: &entry::Context<'_>| seen.note(cx);
        let probe = boxed(Entry::new(mix, On(Contexts(Atomic::new(0)), entry)))?;
        assert!(probe.handler().0.is_right());
        let probe = boxed(Tracepoint::new(c"module_get", Contexts(Atomic::new(0))))?;
        assert!(probe.handler().is_right());
        Ok(())
    }

    #[test]
    fn invalid_file_and_program_pointers_are_refused() {
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
