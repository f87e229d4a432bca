// SPDX-License-Identifier: GPL-2.0

//! How to write a module that probes the kernel, in six steps.
//!
//! Such a module has three parts. A *target* is a place in the kernel. A *handler* is a type whose
//! methods the kernel runs when a CPU reaches the target. A *probe* is a value that connects the
//! two: it is registered as long as it exists. The [crate's page](crate#vocabulary) defines the
//! other words.
//!
//! Each step names samples. `make run SAMPLE=NAME` runs one, and `samples/README.md` describes how
//! to start a module from it.
//!
//! # 1. Choose a kind of probe
//!
//! | kind | its handler runs | instructions | samples |
//! |---|---|---|---|
//! | [`Tracepoint`] | at a tracepoint, with its typed arguments | 25 | [`signals`], [`run_queue`] |
//! | [`Entry`] | at the entry of a function, with its arguments | 53 | [`switch`], [`funccount`] |
//! | [`Kprobe`] | before or after any instruction, with all CPU registers | 154 | [`first_probe`], [`registers`] |
//! | [`Kretprobe`] | at the entry and at the return of a function, with its result | 409 | [`process_creation`], [`allocator`] |
//! | [`Timed`] | like a [`Kretprobe`], and gets the duration of the call | | [`latency`] |
//! | [`Override`] | at the entry of a function, and can return in its place | | [`change_outcome`] |
//! | [`Redirect`] | before any instruction, and can skip it | | |
//!
//! The instructions are those that a probe with a minimal handler adds to a call on x86-64, as
//! `make bench` counts them. Use the first kind that provides what you need:
//!
//! - Kernel developers choose the tracepoints, and rarely change their arguments. Functions change
//!   with each release.
//! - An entry probe works at each function that ftrace can trace. Where another tracer is attached
//!   to the function, a kprobe is cheaper. With [`exclusive`](entry::Options::exclusive), an entry
//!   probe fails there with `EEXIST`, and the module can register a kprobe instead.
//! - Only a kprobe can be in the middle of a function, and only kprobes have all CPU registers.
//!
//! This module counts the calls of one function. [`probes!`] creates the handler, the probe and the
//! module's init from a function; `entry` selects an entry probe:
//!
//! ```
//! use kprobes::Count;
//!
//! kprobes::probes! {
//!     struct Opens;
//!
//!     let opens: Count = Count::new();
//!
//!     fn open entry c"do_sys_openat2" (_cx) {
//!         opens.add(1);
//!     }
//! }
//! ```
//!
//! The same in the long form, which has all options, and in which a probe is an ordinary value:
//!
//! ```
//! use kernel::prelude::*;
//! use kprobes::{entry, Count, Entry, Target};
//!
//! struct Opens(Count);
//!
//! #[vtable]
//! impl entry::Handler for Opens {
//!     fn entry(&self, _cx: &entry::Context<'_>) {
//!         self.0.add(1);
//!     }
//! }
//!
//! # fn f() -> Result {
//! let target = Target::symbol(c"do_sys_openat2");
//! let probe = KBox::pin_init(Entry::new(target, Opens(Count::new())), GFP_KERNEL)?;
//! pr_info!("{}: {} calls\n", probe.location(), probe.handler().0.get());
//! # Ok(()) }
//! ```
//!
//! Each kind has a module with its handler: [`tracepoint::Handler`], [`entry::Handler`],
//! [`kprobe::Handler`], [`kretprobe::Handler`], [`timed::Handler`], [`overrides::Handler`],
//! [`redirect::Handler`]. Several CPUs run a handler at the same time, so its methods take `&self`,
//! and it must be `Sync`.
//!
//! # 2. Name the target
//!
//! ```
//! use kprobes::{syscall, Target};
//!
//! let function = Target::symbol(c"kernel_clone");
//! let instruction = Target::symbol(c"kernel_clone").offset(0x10);
//! let in_a_module = Target::symbol(c"veth:veth_xmit");
//! let address = Target::address(0xffffffff81234567);
//! let system_call = syscall!("execve");
//! ```
//!
//! - [`Target::check`] returns the error with which a kprobe would be refused.
//! - Static functions of different files can have the same name, and the kernel takes the first.
//!   [`Target::is_unique`] reports that. Use the address of the function that you mean.
//! - A tracepoint's target is its name, `c"sched_switch"` or `c"sched:sched_switch"`.
//! - [`syscall!`] is the entry point that 64-bit programs use, and `syscall!(all "execve")` all of
//!   them.
//!
//! For several targets with one handler, use a set, such as [`KprobeSet`] or [`EntrySet`]. A set
//! registers all of its probes or none. [`partial`](probe::Options::partial) skips the targets that
//! the kernel refuses, each of which is a [`Refusal`]. [`Context::index`] is the index of the
//! target that was hit. [`EntrySet::matching`] takes a pattern, such as `vfs_*`:
//!
//! ```
//! use kernel::prelude::*;
//! use kprobes::{entry, CountMap, EntrySet};
//!
//! struct Calls(CountMap<usize>);
//!
//! #[vtable]
//! impl entry::Handler for Calls {
//!     fn entry(&self, cx: &entry::Context<'_>) {
//!         self.0.add(cx.index(), 1);
//!     }
//! }
//!
//! # fn f() -> Result {
//! let calls = Calls(CountMap::new(1000)?);
//! let set = KBox::pin_init(EntrySet::matching(c"vfs_*", calls), GFP_KERNEL)?;
//! # drop(set); Ok(()) }
//! ```
//!
//! A target in a module that is not loaded fails with `ENOENT`. A [`Pending`] probe waits for the
//! module instead. It is registered before the module's init runs, and again each time that the
//! module is loaded. Its [`pending::State`] says where it stands.
//!
//! Samples: [`funccount`], [`sensor`].
//!
//! # 3. Read the context
//!
//! Each method of a handler gets a [`Context`]. It is valid only while the method runs.
//!
//! ```
//! use kernel::prelude::*;
//! use kprobes::{kretprobe, nofault::UserStr};
//!
//! struct Opens;
//!
//! #[vtable]
//! impl kretprobe::Handler for Opens {
//!     type Data = UserStr;
//!
//!     fn entry(&self, cx: &kretprobe::Context<'_>) -> Option<UserStr> {
//!         (!cx.is_kernel_thread()).then(|| cx.arg1())
//!     }
//!
//!     fn ret(&self, cx: &kretprobe::ReturnContext<'_>, filename: UserStr) {
//!         if let Err(error) = cx.ret::<Result<i32>>() {
//!             pr_info!("{}: {}: {error:?}\n", cx.comm(), filename.show::<64>());
//!         }
//!     }
//! }
//! ```
//!
//! *Arguments and result.* [`Context::arg0`] to `arg5` and [`Context::args`] have the type that you
//! choose: see [`FromWord`], and [`FromWords`] for a tuple of all arguments. [`Context::ret`] is
//! the result, where a `Result<T>` decodes an errno ([`OrErrno`]). The kernel does not check these
//! types, so write those of the C function. [`Context::syscall_args`] has the arguments of a system
//! call. From the entry to the return, [`Data`](kretprobe::Handler::Data) keeps what `entry`
//! returned for that call. Samples: [`process_creation`], [`conditional`].
//!
//! *Memory.* Reads through [`UserPtr`], [`KernelPtr`], [`UserStr`] and [`KernelStr`] never fault;
//! an invalid address gives `EFAULT`. A string is a [`Text`], which knows whether it was cut.
//! [`Shown`] escapes it for the log. Sample: [`failed_opens`].
//!
//! *Structs.* [`field!`] reads a field by its name in C, from the structs that [`c_structs!`]
//! declares. The module [`fields`] describes how. Samples: [`connections`], [`xdp_verdicts`].
//!
//! *The current task.* [`Context::comm`] is a [`Comm`]; [`Comm::of`] is that of another task. There
//! are [`Context::pid`] and [`Context::tgid`], [`Context::ppid`], [`Context::uid`],
//! [`Context::cgroup_id`], and more. In an interrupt, the current task is the one that was
//! interrupted, and has nothing to do with the hit: [`Context::in_task`] is then false. Samples:
//! [`container`], [`nanosleep`].
//!
//! *Files and programs.* [`Filename`] is a path that a program passed to the kernel. [`File`] and
//! [`Dentry`] are the kernel's structs, of which a [`FileId`] can be kept. [`Exec`] is the program
//! that execve(2) starts, with its [`Arguments`]. Samples: [`open_names`], [`sensor`].
//!
//! *Place and time.* [`Context::stack`] returns a [`Stack`], the calls that lead to the hit.
//! [`Context::address`] is an [`Address`]. It prints as a [`Location`], whose name without the
//! offset is a [`Symbol`](crate::Symbol). [`Context::now_ns`] is the time. [`Context::register`]
//! reads a [`Register`]. Samples: [`call_stack`], [`registers`].
//!
//! A function that serves several kinds is generic over the moment of the hit: [`Place`] is any
//! moment, [`Probed`] those with CPU registers, and [`AtCall`] those with arguments. The moments
//! are [`kprobe::Pre`], [`kprobe::Post`], [`kretprobe::Return`], [`entry::AtEntry`] and
//! [`tracepoint::Trace`].
//!
//! # 4. Report
//!
//! *Log.* `pr_info!` works in each handler. Functions can be called a million times a second, so
//! limit the lines by a [`RateLimit`]. `core::write!` also takes the types of this library.
//! `pr_info!` prints the addresses of `core::net` if they are wrapped in [`ByCore`].
//!
//! *Collect.* Maps have a fixed size, so that handlers allocate nothing. This one counts by comm:
//!
//! ```
//! use kprobes::{Comm, CountMap};
//!
//! kprobes::probes! {
//!     struct Faults;
//!
//!     let faults: CountMap<Comm> = CountMap::new(1000)?;
//!
//!     fn fault entry c"handle_mm_fault" (cx) {
//!         faults.add(cx.comm(), 1);
//!     }
//!
//!     drop {
//!         kprobes::log!(faults, 10);
//!     }
//! }
//! ```
//!
//! Until it is unloaded, `/sys/kernel/debug/faults/faults` shows the counts. Unloading it logs the
//! ten largest.
//!
//! | to keep | use | sample |
//! |---|---|---|
//! | one number | [`Count`], or [`per_cpu_counts!`] if many CPUs count often | [`xdp_verdicts`] |
//! | a number for each key | [`CountMap`], with any [`Key`]; [`key!`] declares a struct as one | [`page_faults`] |
//! | a number for each call stack | [`CountMap`] with a [`Stack`] as the key | [`allocation_stacks`] |
//! | a distribution | [`Histogram`], or a [`HistogramMap`] of one for each key | [`run_queue`] |
//! | a value, from one function to another | [`Map`] | [`handshake`] |
//!
//! [`read`](collect::Keyed::read) and [`drain`](collect::Keyed::drain) return the [`Entries`] of a
//! map, and [`log!`] prints them. In the long form, [`Files`] creates the files in debugfs: a
//! [`View`] shows something, and a [`Switch`] turns a probe on and off. Sample: [`switch`].
//!
//! *Trace events.* Tracefs, perf, trace-cmd and bpftrace can read, filter and count the records of
//! an event. [`trace_event!`] declares one, and `arms` enables a probe only while the event has a
//! listener:
//!
//! ```
//! use kernel::prelude::*;
//! use kprobes::{entry, event::Pid, Entry, Target};
//!
//! kprobes::trace_event! {
//!     struct Exits = "my_module:exits" { pid: Pid, code: i32 }
//! }
//!
//! struct Exit;
//!
//! #[vtable]
//! impl entry::Handler for Exit {
//!     fn entry(&self, cx: &entry::Context<'_>) {
//!         Exits { pid: Pid(cx.pid()), code: cx.arg0() }.emit(cx);
//!     }
//! }
//!
//! # fn f() -> Result {
//! let exit = Entry::new(Target::symbol(c"do_exit"), Exit);
//! let armed = KBox::pin_init(Exits::arms(exit), GFP_KERNEL)?;
//! # drop(armed); Ok(()) }
//! ```
//!
//! A [`Record`] consists of [`Field`]s: each [`Integer`], `bool`, an array, a [`Str`], a [`Comm`],
//! a pointer, and the types that choose how a number is printed: [`Hex`], [`Errno`], [`Pid`] and
//! [`event::Symbol`]. Sample: [`sensor`].
//!
//! # 5. Lifetime and errors
//!
//! ```
//! use kernel::prelude::*;
//! use kprobes::{kprobe, Count, Kprobe, Target};
//!
//! struct Clones(Count);
//!
//! #[vtable]
//! impl kprobe::Handler for Clones {
//!     fn pre(&self, _cx: &kprobe::Context<'_>) {
//!         self.0.add(1);
//!     }
//! }
//!
//! # fn f() -> Result {
//! let options = kprobe::Options::default().disabled();
//! let clones = Kprobe::with_options(
//!     Target::symbol(c"kernel_clone"),
//!     options,
//!     Clones(Count::new()),
//! );
//! let probe = KBox::pin_init(clones, GFP_KERNEL)?;
//! probe.enable()?;
//! pr_info!("{} hits, {} missed\n", probe.handler().0.get(), probe.missed());
//! drop(probe);
//! # Ok(()) }
//! ```
//!
//! - *Create* probes in process context, usually in the module's init, and store them in the
//!   module's struct. If the kernel refuses a probe, the constructor fails with the kernel's errno,
//!   and `?` passes it on to insmod. The page of each kind lists its errors.
//! - *Drop* a probe in process context. The drop unregisters the probe and waits for handlers that
//!   are running. The module's exit drops everything in the module's struct. The crate's page
//!   describes [where not to drop a probe](crate#where-not-to-drop-a-probe), and what happens to
//!   [probes that are never dropped](crate#probes-that-are-never-dropped).
//! - *Disable and enable* a probe by [`Registered::disable`] and [`Registered::enable`].
//! - *Missed*: if a probe is hit inside a handler, the kernel may skip its handler.
//!   [`Registered::missed`] counts that.
//! - *Gone*: when a probed module is unloaded, its probes stop having hits, and
//!   [`Registered::is_gone`] is true. A [`ModuleWatch`] calls a [`module::Handler`] for that.
//! - [`Registered::mechanism`] is the [`Mechanism`] by which the kernel reaches the handler.
//!
//! If there are no hits, see `TROUBLESHOOTING.md`.
//!
//! # 6. Change what the kernel does
//!
//! This is `unsafe`: the library cannot check that the kernel works with the change.
//!
//! - [`Context::set_ret`] replaces a function's result, and [`Context::set_arg0`] to `set_arg5` its
//!   arguments.
//! - [`Override`] returns in place of a function, which then does not run. Sample:
//!   [`change_outcome`].
//! - [`Redirect`] skips an instruction, or continues at another one.
//! - [`Context::set_register`] changes a CPU register.
//!
//! # Parameters of the module
//!
//! `module!` declares integers, which [`param`](crate::param()) reads. [`string_param!`] declares a
//! [`StringParam`]. Samples: [`funccount`], [`allocator`].
//!
//! # The types behind these
//!
//! Most modules never name these types; generic code does.
//!
//! - Each probe is a [`probe::Probe`], each set a [`probe::Set`], of a [`probe::Kind`]. The kinds
//!   are [`kprobe::Kind`], [`kretprobe::Kind`], [`timed::Kind`], [`entry::Kind`],
//!   [`tracepoint::Kind`], [`overrides::Kind`] and [`redirect::Kind`]. [`probe::Safe`] marks those
//!   without `unsafe`.
//! - [`probe::Handles`] is the trait of all handlers; each kind's `Handler` implements it.
//! - The options of all kinds are in [`probe::Options`]. [`entry::Specific`] and
//!   [`kretprobe::Specific`] hold those that only one kind has. Each kind has a name for its own:
//!   [`kprobe::Options`], [`kretprobe::Options`], [`timed::Options`], [`entry::Options`],
//!   [`tracepoint::Options`], [`overrides::Options`], [`redirect::Options`].
//! - The contexts are a [`Context`] with a moment: [`kprobe::Context`] and [`kprobe::PostContext`],
//!   [`kretprobe::Context`] and [`kretprobe::ReturnContext`], [`timed::Context`] and
//!   [`timed::ReturnContext`], [`entry::Context`], [`tracepoint::Context`], [`overrides::Context`],
//!   [`redirect::Context`].
//! - The other sets are [`KretprobeSet`], [`TimedSet`], [`TracepointSet`], [`OverrideSet`] and
//!   [`RedirectSet`].
//! - An [`Event`] is the event of a [`Record`]. An [`Armed`] is a probe or set that an event arms;
//!   what can be armed implements [`Arm`](probe::Arm).
//! - [`PerCpuCounts`] are counters that are freed with their owner, and [`CountsAt`] are those of
//!   [`per_cpu_counts!`].
//! - [`CountMap`] and [`HistogramMap`] are a [`Keyed`] of a [`Shape`], a [`Sum`] or [`Buckets`].
//!   Its [`Entries`] have [`Row`]s, and a row of a histogram has a [`Distribution`]. A key consists
//!   of [`Words`]. [`Show`] prints it, as text or as JSON, which a [`Form`] selects.

#[allow(unused_imports, reason = "for the links")]
use crate::{
    collect::*,
    event::*,
    nofault::*,
    regs::Register,
    *, //
};
#[allow(unused_imports, reason = "for the links")]
use samples::*;

/// The sources of the samples.
pub mod samples {
    macro_rules! samples {
        ($($name:ident),* $(,)?) => {
            $(
                #[doc = concat!("`samples/", stringify!($name), ".rs`:\n\n```ignore")]
                #[doc = include_str!(concat!("../samples/", stringify!($name), ".rs"))]
                #[doc = "```"]
                pub mod $name {}
            )*
        };
    }

    samples! {
        allocation_stacks, allocator, call_stack, change_outcome, conditional, connections,
        container, failed_opens, first_probe, funccount, handshake, latency, nanosleep,
        open_names, page_faults, process_creation, registers, run_queue, sensor, signals, switch,
        xdp_verdicts,
    }
}
