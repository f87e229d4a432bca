// SPDX-License-Identifier: GPL-2.0

//! How to write a module that probes the kernel, in six steps.
//!
//! Such a module has three parts. A *target* is a place in the kernel's code. A *handler* is a type
//! whose methods the kernel calls when a CPU reaches the target. A *probe* is a value that attaches
//! a handler to a target. It stays registered until it is dropped. All other terms are defined in
//! the [vocabulary](crate#vocabulary).
//!
//! Most steps name samples. `make run SAMPLE=NAME` runs a sample in a virtual machine.
//! `samples/README.md` describes how to use a sample as the template for your own module.
//!
//! # 1. Choose a kind of probe
//!
//! | kind | where the handler runs | cost | samples |
//! |---|---|---|---|
//! | [`Tracepoint`] | at a tracepoint, with its typed arguments | 25 | [`signals`], [`run_queue`] |
//! | [`Entry`] | at the entry of a function, with its arguments | 53 | [`switch`], [`funccount`] |
//! | [`Kprobe`] | before an instruction, after it, or both, with all CPU registers | 153 | [`first_probe`], [`registers`] |
//! | [`Kretprobe`] | at the entry and at the return of a function, with its result | 408 | [`process_creation`], [`allocator`] |
//! | [`Timed`] | at the entry and at the return of a function, with the duration of the call | – | [`latency`] |
//! | [`Override`] | at the entry of a function; it can prevent the function from running | – | [`change_outcome`] |
//! | [`Redirect`] | before an instruction; it can skip the instruction | – | |
//!
//! The cost is the number of instructions that a probe executes per hit on x86-64, with a handler
//! that counts or, for [`Kretprobe`], does nothing. `make bench` measures it, except for the rows
//! with a dash. Take the first kind in the table that provides what you need, but note:
//!
//! - Tracepoints exist only where a maintainer has put one, but their arguments rarely change.
//!   Functions can change in any release.
//! - Entry probes work on any function that ftrace can trace. They do not see all CPU registers.
//! - Kprobes work on almost any instruction. Some code is excluded, such as `noinstr` functions.
//! - If a kprobe is already at the entry of a function, an entry probe there costs more than
//!   another kprobe (`entry_with_kprobe` in `bench/`). With
//!   [`exclusive`](entry::Options::exclusive), registering an entry probe on such a function fails
//!   with `EEXIST`, so your module can fall back to a kprobe.
//!
//! The following module counts the calls of one function. Its `module!`, with the name and the
//! license, is not shown. [`probes!`] generates the handler, the probe and the module's init from
//! the `fn` inside it. The keyword `entry` selects an entry probe:
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
//! `probes!` is the *short form*. In the *long form*, you write the handler, the probe and the init
//! yourself. It gives access to all options, and the probe is an ordinary value. The same module in
//! the long form:
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
//! struct MyModule {
//!     opens: Pin<KBox<Entry<Opens>>>,
//! }
//!
//! impl kernel::Module for MyModule {
//!     fn init(_module: &'static ThisModule) -> Result<Self> {
//!         let target = Target::symbol(c"do_sys_openat2");
//!         let opens = Entry::new(target, Opens(Count::new()));
//!         Ok(Self { opens: KBox::pin_init(opens, GFP_KERNEL)? })
//!     }
//! }
//! ```
//!
//! Each kind has a Rust module that defines its handler trait: [`tracepoint::Handler`],
//! [`entry::Handler`], [`kprobe::Handler`], [`kretprobe::Handler`], [`timed::Handler`],
//! [`overrides::Handler`] and [`redirect::Handler`].
//!
//! A handler must not sleep or wait for a lock, because it may interrupt any code, as an NMI does.
//! It runs with preemption disabled, except for handlers of tracepoints. Several CPUs can run the
//! same handler at once, so its methods take `&self`, and its type must be `Sync`. See
//! [contexts](crate#contexts).
//!
//! # 2. Name the target
//!
//! ```
//! use kprobes::{syscall, Target};
//!
//! let function = Target::symbol(c"kernel_clone");
//! let instruction = Target::symbol(c"kernel_clone").offset(0x10);
//! let function_of_module = Target::symbol(c"veth:veth_xmit");
//! let address = Target::address(0xffffffff81234567);
//! let system_call = syscall!("execve");
//! ```
//!
//! - The target of a tracepoint probe is given by the tracepoint's name, `c"sched_switch"` or
//!   `c"sched:sched_switch"`.
//! - [`Target::check`] tests whether the kernel would accept a kprobe at the target, and returns
//!   the kernel's error if not.
//! - Static functions in different files can have the same name. The kernel then probes the first
//!   one in its symbol table, and [`Target::is_unique`] returns false. To probe another one, pass
//!   its address from `/proc/kallsyms` to the module as a parameter.
//! - `syscall!("execve")` is the entry point for 64-bit programs. `syscall!(all "execve")` is an
//!   array of all entry points, for a set. See [`syscall!`].
//!
//! To attach one handler to several targets, use a set, such as [`KprobeSet`] or [`EntrySet`]. A
//! set registers all of its probes or none. With [`partial`](probe::Options::partial), a set skips
//! the targets that the kernel refuses, and lists each as a [`Refusal`]. [`Context::index`] returns
//! the index of the target that was hit. [`EntrySet::matching`] accepts a pattern:
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
//! If the target is in a module that is not loaded, registering the probe fails with `ENOENT`. A
//! [`Pending`] probe waits for the module instead; its target is `c"MODULE:SYMBOL"`, or a
//! tracepoint of a module. Each time the module is loaded, the probe is registered before the
//! module's init runs. [`pending::State`] lists the states of such a probe.
//!
//! Samples: [`funccount`], [`sensor`].
//!
//! # 3. Read the context
//!
//! Each method of a handler gets a [`Context`], which is valid only while the method runs. This
//! handler is for `do_sys_openat2`, whose second argument is the file name:
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
//! *Arguments.* [`Context::arg0`] to `arg5` return one argument, as any type that implements
//! [`FromWord`]. [`Context::args`] returns several as a tuple ([`FromWords`]).
//! [`Context::syscall_args`] does so for system calls. Nothing checks these types: use those of the
//! C prototype. Sample: [`conditional`].
//!
//! *Results.* [`Context::ret`] returns the function's result. Read it as `Result<T>` to decode a
//! negative errno as `Err` ([`OrErrno`]). If `entry` returns `Some(data)`, the library keeps `data`
//! until the probed function returns, and passes it to `ret`; its type is
//! [`Data`](kretprobe::Handler::Data). If `entry` returns `None`, `ret` is skipped for that call.
//! Sample: [`process_creation`].
//!
//! *Memory.* [`UserPtr`], [`KernelPtr`], [`UserStr`] and [`KernelStr`] read memory without page
//! faults. A read of an invalid address, or of a page that is not present, fails with `EFAULT`. A
//! string is read as a [`Text`], which records whether it was truncated. Its `show()` returns a
//! [`Shown`], which prints the string escaped. Sample: [`failed_opens`].
//!
//! *Structs.* [`c_structs!`] declares structs from the kernel's headers, and [`field!`] reads a
//! field by its C name. See [`fields`]. Sample: [`connections`].
//!
//! *The current task.* The context provides [`comm`](Context::comm), [`pid`](Context::pid),
//! [`tgid`](Context::tgid), [`ppid`](Context::ppid), [`uid`](Context::uid),
//! [`cgroup_id`](Context::cgroup_id) and others. [`Comm::of`] reads the [`Comm`] of another task.
//! In an interrupt, the current task is the task that was interrupted, which did not cause the hit.
//! [`Context::in_task`] then returns false. Samples: [`container`], [`nanosleep`].
//!
//! *Files and programs.* A [`Filename`] is a path that a program passed to the kernel. [`File`] and
//! [`Dentry`] point to the kernel's structs, and are valid only during the hit; store a [`FileId`]
//! to identify a file later. An [`Exec`] is the program that execve(2) starts, with its
//! [`Arguments`]. Samples: [`open_names`], [`sensor`].
//!
//! *Stack, address and registers.* [`Context::stack`] returns a [`Stack`], the stack trace of the
//! hit. [`Context::address`] returns an [`Address`], which is printed hashed, like `%p`.
//! [`Address::location`] returns a [`Location`], which is printed as `symbol+offset`, and
//! [`Location::symbol`] returns the [`Symbol`](crate::Symbol) alone. [`Context::register`] reads a
//! [`Register`]. Samples: [`call_stack`], [`registers`].
//!
//! A helper function that is called from handlers of several kinds can be generic over the type
//! parameter of [`Context`]. The type parameter is one of [`kprobe::Pre`], [`kprobe::Post`],
//! [`kretprobe::Return`], [`entry::AtEntry`] and [`tracepoint::Trace`]. All of these implement
//! [`Place`]. `Pre`, `Post` and `Return`, whose contexts have all CPU registers, also implement
//! [`Probed`]. `Pre` and `AtEntry`, whose contexts have `arg0` to `arg5`, also implement
//! [`AtCall`].
//!
//! # 4. Report
//!
//! *Log.* `pr_info!` works in any handler. A function may be called a million times a second, so
//! rate-limit the output with a [`RateLimit`]. The library's types can be printed with `pr_info!`
//! and with `core::write!`. Types that implement only `core::fmt::Display`, such as the IP
//! addresses of `core::net`, must be wrapped in [`ByCore`] for `pr_info!`.
//!
//! *Count and collect.* Handlers must not allocate memory, so maps have a fixed capacity. When a
//! map is full, it discards updates with new keys, and counts the discarded updates. This module
//! counts page faults per comm, for up to 1000 comms:
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
//! While the module is loaded, `/sys/kernel/debug/MODULE/faults` shows the counts, where `MODULE`
//! is the name of the module. On unload, the module logs the ten largest.
//!
//! | to store | use | sample |
//! |---|---|---|
//! | one count | [`Count`], or [`per_cpu_counts!`] if many CPUs count often | [`xdp_verdicts`] |
//! | a count per key | [`CountMap`], with any [`Key`]; [`key!`] declares a struct that is a key | [`page_faults`] |
//! | a count per stack trace | [`CountMap`] with a [`Stack`] as its key | [`allocation_stacks`] |
//! | a distribution | [`Histogram`], or [`HistogramMap`] for one histogram per key | [`run_queue`] |
//! | values that one handler stores and another handler reads | [`Map`] | [`handshake`] |
//!
//! [`read`](collect::Keyed::read) returns the [`Entries`] of a [`CountMap`] or a [`HistogramMap`],
//! and [`drain`](collect::Keyed::drain) also clears the map. [`log!`] prints a map. In the long
//! form, [`Files`] creates files in debugfs: `view` adds files that show a [`View`], for example a
//! map, and `switch` adds a file that enables and disables a [`Switch`], which is a probe or a set.
//! Sample: [`switch`].
//!
//! *Trace events.* [`trace_event!`] declares a trace event. Users can read, filter and count its
//! records through tracefs, perf, trace-cmd and bpftrace. The event's `arms(probe)` wraps the probe
//! in an [`Armed`], which enables it only while the event has a listener (tracefs, a trigger, perf
//! or a BPF program):
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
//! The struct is a [`Record`]. Its [`Field`]s can be any [`Integer`], arrays of these, `bool`, a
//! [`Str`], a [`Comm`], pointers, and types that choose how a number is stored or printed: [`Hex`],
//! [`Errno`], [`Pid`] and [`event::Symbol`]. Sample: [`sensor`].
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
//!   module's struct. If the kernel refuses a probe, the constructor logs the reason and returns
//!   the kernel's errno. With `?`, insmod fails with that errno. The page of each kind lists its
//!   errors.
//! - *Drop* probes in process context. Dropping a probe unregisters it and waits for running
//!   handlers. On module exit, the module's struct is dropped, and with it the probes. See [where
//!   not to drop a probe](crate#where-not-to-drop-a-probe) and [probes that are never
//!   dropped](crate#probes-that-are-never-dropped).
//! - *Disable and enable* probes with [`disable`](Registered::disable) and
//!   [`enable`](Registered::enable). A single probe and each member of a set have the methods of
//!   [`Registered`]; [`Pending`] has its own.
//! - *Missed calls.* If a handler calls a function that is itself probed, the handler of the probe
//!   on that function may be skipped. A return probe also skips calls if more than
//!   [`max_active`](kretprobe::Options::max_active) are in flight. [`missed`](Registered::missed)
//!   counts both.
//! - *Unloaded targets.* When a module that contains targets is unloaded, the probes on these
//!   targets are gone: [`is_gone`](Registered::is_gone) returns true, and they are never hit again.
//!   Only [`Pending`] probes are registered again at the next load. A [`ModuleWatch`] calls a
//!   [`module::Handler`] when a module is loaded or unloaded, and when its init code is freed.
//! - *Mechanism.* [`mechanism`](Registered::mechanism) returns the [`Mechanism`] by which the
//!   kernel calls the handler.
//!
//! If a probe has no hits, see `TROUBLESHOOTING.md`.
//!
//! # 6. Change what the kernel does
//!
//! The following are `unsafe`: the library cannot check that the kernel still works with the
//! change.
//!
//! - [`Context::set_ret`] replaces the result of a function, and [`Context::set_arg0`] to
//!   `set_arg5` replace its arguments.
//! - Creating an [`Override`]: its handler can return a result to the caller instead of running the
//!   function. Sample: [`change_outcome`].
//! - Creating a [`Redirect`]: its handler can skip the instruction, or continue at another one.
//! - [`Context::set_register`] changes a CPU register.
//!
//! # Module parameters
//!
//! Integer parameters are declared in `module!` and read with [`param`](crate::param()). String
//! parameters are declared with [`string_param!`] and have the type [`StringParam`]. Samples:
//! [`funccount`], [`allocator`].
//!
//! # All types
//!
//! The contexts, options and sets of each kind are aliases of generic types, which are useful for
//! code that handles several kinds:
//!
//! - A probe type is an alias of [`probe::Probe<K, H>`](probe::Probe), and a set type is an alias
//!   of [`probe::Set<K, H>`](probe::Set). `K` is a [`probe::Kind`]: [`kprobe::Kind`],
//!   [`kretprobe::Kind`], [`timed::Kind`], [`entry::Kind`], [`tracepoint::Kind`],
//!   [`overrides::Kind`] or [`redirect::Kind`]. [`probe::Safe`] is implemented for the kinds
//!   without `unsafe` constructors. `H` must implement [`probe::Handles<K>`](probe::Handles), which
//!   every type that implements the kind's handler trait does.
//! - The sets are [`KprobeSet`], [`KretprobeSet`], [`TimedSet`], [`EntrySet`], [`TracepointSet`],
//!   [`OverrideSet`] and [`RedirectSet`].
//! - The options are aliases of [`probe::Options`]: [`kprobe::Options`], [`kretprobe::Options`],
//!   [`timed::Options`], [`entry::Options`], [`tracepoint::Options`], [`overrides::Options`] and
//!   [`redirect::Options`]. [`entry::Specific`] holds the options that only entry probes have, and
//!   [`kretprobe::Specific`] those that only return probes have ([`Kretprobe`] and [`Timed`]).
//! - The contexts are aliases of [`Context`]: [`kprobe::Context`], [`kprobe::PostContext`],
//!   [`kretprobe::Context`], [`kretprobe::ReturnContext`], [`timed::Context`],
//!   [`timed::ReturnContext`], [`entry::Context`], [`tracepoint::Context`], [`overrides::Context`]
//!   and [`redirect::Context`].
//! - [`trace_event!`] declares an [`Event`] as a static. [`Armed`] wraps a probe or a set that an
//!   event enables. Probes, sets and [`Armed`] itself implement [`Arm`](probe::Arm).
//! - [`PerCpuCounts`] is allocated at run time and freed with its owner. [`per_cpu_counts!`]
//!   declares a static of the type [`CountsAt`].
//! - [`CountMap<K>`](CountMap) is [`Keyed`]`<K, `[`Sum`]`>`, and [`HistogramMap<K>`](HistogramMap)
//!   is `Keyed<K, `[`Buckets`]`>`. [`Sum`] and [`Buckets`] implement [`Shape`]. The [`Entries`] of
//!   a map consist of [`Row`]s, and a row of a [`HistogramMap`] has a [`Distribution`]. [`Words`]
//!   is implemented for the types that a key may consist of. [`Show`] writes a key or a value in a
//!   [`Form`], text or JSON.

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
