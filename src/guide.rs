// SPDX-License-Identifier: GPL-2.0

//! Where to start, by what you want to do.
//!
//! A sample is run by `make run SAMPLE=NAME`. To start from one, copy it: see `samples/README.md`.
//!
//! # I want to run code
//!
//! | I want to ... | use | sample |
//! |---|---|---|
//! | run code when a function is called | [`Kprobe`], or `fn name at` in [`probes!`] | [`first_probe`] |
//! | run code when it returns, with what it returned | [`Kretprobe`], or `fn name at ... -> result` in [`probes!`] | [`process_creation`], [`nanosleep`] |
//! | do so only for certain calls | an `if` at the entry; [`entry`](kretprobe::Handler::entry) returning `None`; `when` in [`probes!`] | [`conditional`], [`failed_opens`] |
//! | have the arguments of the entry at the return | [`kretprobe::Handler::Data`] | [`failed_opens`], [`allocator`] |
//! | time a function | [`Timed`], a [`timed::Handler`] | [`latency`] |
//! | know whether a place can be probed, and its name is unique | [`Target::check`], [`Target::is_unique`] | |
//! | look at one instruction, before and after it | [`Target::offset`], [`pre`](kprobe::Handler::pre) and [`post`](kprobe::Handler::post) | [`registers`] |
//! | probe a system call | [`syscall!`], [`Context::syscall_args`] | [`sensor`] |
//! | that of 32-bit programs, too | a set at `syscall!(all "NAME")`; [`Context::in_compat_syscall`] | [`change_outcome`] |
//! | use a tracepoint of the kernel | [`Tracepoint`], a [`tracepoint::Handler`]; `fn name on` in [`probes!`] | [`signals`] |
//! | the same for a third of the cost, without the registers | [`Entry`], an [`entry::Handler`] | |
//! | whichever costs the least at that function | an [`Entry`] that is [exclusive](entry::Options::exclusive), else a [`Kprobe`] | `rust_kprobe.rs` |
//! | run code in all functions of a pattern | [`EntrySet::matching`] | [`funccount`] |
//! | probe many functions | a set: [`KprobeSet`], [`EntrySet`], [`KretprobeSet`], [`TimedSet`], [`TracepointSet`], [`OverrideSet`], [`RedirectSet`]; [`partial`](probe::Options::partial), with a [`Refusal`] for each that cannot be probed | [`sensor`] |
//! | follow packets | several probes in a module | [`xdp_verdicts`] |
//! | change what a function returns | [`Context::set_ret`]; [`Override`], an [`overrides::Handler`], which does not run it at all | [`change_outcome`] |
//! | skip an instruction, or continue at another | [`Redirect`], a [`redirect::Handler`] | |
//! | probe a module that is not loaded yet, and again when it comes back | [`Pending`], of one or several targets, each with its [`pending::State`] | `rust_kprobe.rs` |
//! | know that a probed module was loaded, unloaded | [`Registered::is_gone`], [`ModuleWatch`] with its [`module::Handler`] | |
//! | disable and enable a probe | [`Registered::disable`], [`Registered::enable`] | |
//! | know why there are no hits | `TROUBLESHOOTING.md` | |
//!
//! # I want tools to see it
//!
//! [`trace_event!`] declares a [`Record`], which tracefs, perf, trace-cmd and bpftrace know as any
//! other [`Event`]; see [`event`], and the sample [`sensor`].
//!
//! | I want to ... | use |
//! |---|---|
//! | say what is in a record | a struct of [`Field`]s: any [`Integer`], `bool`, arrays, a [`Str`], a [`Comm`], pointers, an [`Errno`], a [`Pid`] |
//! | choose how a field is printed | [`Hex`], [`event::Symbol`], and `as "FORMAT"` for the record |
//! | have a probe, or a set, enabled only while its event has a listener | `RECORD::arms(probe)`, which makes an [`Armed`] of what it can [`Arm`](probe::Arm); [`disabled`](probe::Options::disabled) |
//! | know whether there is a listener | `RECORD::is_enabled()` |
//! | filter, count, make histograms | `filter` and `trigger` of the event in tracefs: the kernel does it, before anything is copied |
//!
//! # I want to know
//!
//! What a handler can find out is in its [`Context`], which has a name for each moment:
//! [`kprobe::Context`], [`kprobe::PostContext`], [`kretprobe::ReturnContext`], [`entry::Context`],
//! [`tracepoint::Context`]. A function that serves several is generic over the [`Place`], or over
//! [`Probed`] for the CPU registers, or over [`AtCall`] for the arguments.
//!
//! | I want to ... | use | sample |
//! |---|---|---|
//! | know who called | [`Context::comm`], the name of the thread, a [`Comm`], or [`Comm::of`] another task; [`Context::pid`], [`Context::tgid`], [`Context::euid`] | [`first_probe`], [`sensor`] |
//! | know whether it is that task's doing | [`Context::in_task`]; [`Context::in_serving_softirq`], [`Context::in_hardirq`], [`Context::in_nmi`] | |
//! | know which program, of whom and since when | [`Context::exe_name`], [`Context::exe_file`]; [`Context::uid`], [`Context::gid`], [`Context::ppid`]; [`Context::start_time_ns`] | [`container`] |
//! | know which container | [`Context::cgroup_id`]; [`Context::pid_vnr`], [`Context::tgid_vnr`] | [`container`] |
//! | know the time | [`Context::now_ns`], [`Context::boot_ns`] | |
//! | know the call chain of a hit | [`Context::stack`], a [`Stack`]; `hist:keys=common_stacktrace` of a trace event counts by stack | [`call_stack`] |
//! | read arguments | [`Context::arg0`], [`Context::args`]: any [`FromWord`], or a tuple of them ([`FromWords`]) | [`process_creation`] |
//! | read the result | [`Context::ret`]; a `Result<T>` of an [`OrErrno`] decodes `-errno` | [`failed_opens`] |
//! | read a string of a program, of the kernel | [`UserStr`], [`KernelStr`]: a [`Text`], which knows whether it is cut; [`Shown`] escapes it for the log | [`failed_opens`] |
//! | read a path that a program has passed to the kernel | [`Filename`], the kernel's copy | [`open_names`], [`sensor`] |
//! | know from which directory it starts, what a descriptor is | [`Context::working_directory`], [`Context::root_directory`], [`Context::file`]: a [`Dentry`], a [`File`], with the [`FileId`] | [`sensor`] |
//! | know which program is executed, with its arguments | [`Exec`]; [`Context::program_arguments`], the [`Arguments`] | [`sensor`] |
//! | follow a pointer | [`UserPtr`], [`KernelPtr`]: reads that do not fault | [`sensor`] |
//! | read a field of a struct, by its name in C | [`field!`], with the structs of [`c_structs!`]; see [`fields`] | [`connections`] |
//! | read a register | [`Context::register`], [`Register`] | [`registers`] |
//! | know where a probe is, and how it is reached | [`Registered::location`], a [`Location`], of which [`Symbol`](crate::Symbol) is the name; [`Registered::address`], an [`Address`]; [`Registered::mechanism`], a [`Mechanism`] | [`registers`] |
//! | print an address of `core::net` | [`ByCore`] in `pr_info!`; what the library has prints in `core::write!`, too | [`connections`] |
//! | let the user of the module choose | [`string_param!`], a [`StringParam`]; [`param`](crate::param()) for integers | [`funccount`], [`allocator`] |
//!
//! # I want to count and to collect
//!
//! | I want to ... | use | sample |
//! |---|---|---|
//! | count, seldom or on few CPUs | [`Count`], one atomic instruction | |
//! | count, often, on many CPUs | [`per_cpu_counts!`], a [`CountsAt`]; [`PerCpuCounts`] if they have to be freed before the module | |
//! | count by process, by function, by any [`Key`] | [`CountMap`], in which each CPU counts separately; [`key!`] for a struct as the key | [`page_faults`], [`funccount`] |
//! | count by the calls that lead to a function | a [`Stack`] as the key of a [`CountMap`] | [`allocation_stacks`] |
//! | see a distribution | [`Histogram`], in powers of two or in [`Buckets`] of equal width; [`HistogramMap`] for one by key | [`latency`], [`run_queue`] |
//! | measure the time between two functions | [`Map`]: [`insert`](Map::insert) at one, [`take`](Map::take) at the other | [`handshake`] |
//! | read what was collected | [`read`](collect::Keyed::read), [`drain`](collect::Keyed::drain): the [`Entries`], each a [`Row`], with a [`Distribution`] | [`funccount`] |
//! | print it | [`log!`] | [`page_faults`] |
//! | look at it while the module is loaded, and clear it | `let` in [`probes!`]; in the long form [`Files::view`], for any [`View`] | [`page_faults`] |
//! | turn a probe on and off while the module is loaded | [`Files::switch`], for any [`Switch`] | [`switch`] |
//! | use compare-and-swap, a flag, an ordering | `kernel::sync::atomic::Atomic`, which calls a C helper for each operation, unless the kernel has `CONFIG_RUST_INLINE_HELPERS` | |
//! | log many lines | [`RateLimit`], which suppresses those that are too many, and counts them | |
//! | count hits that the handler was not called for | [`Registered::missed`], [`Set::missed`](probe::Set::missed); by the kernel, and so a lower bound, for kprobes | |
//! | count without code of my own | the trigger `hist` of a [`trace_event!`], or of an event of the kernel's, in tracefs: by any of its fields, in the kernel | |
//!
//! Hits themselves are not counted by the kernel: count them in the handler. Where CPUs take turns,
//! hits and misses add up to the calls. [`Keyed`] and its [`Shape`], of which [`Sum`] is one, are
//! what [`CountMap`] and [`HistogramMap`] have in common; [`Show`] is how keys and values are
//! printed, in a [`Form`], and [`Words`] what keys are made of.
//!
//! # Every kind
//!
//! A [`probe::Probe`] or [`probe::Set`] of a [`probe::Kind`]; [`probe::Safe`] are those that need
//! no `unsafe`, and [`probe::Handles`] is what a handler implements by implementing `Handler`.
//!
//! | kind | options | contexts | moments |
//! |---|---|---|---|
//! | [`kprobe::Kind`] | [`kprobe::Options`] | [`kprobe::Context`], [`kprobe::PostContext`] | [`kprobe::Pre`], [`kprobe::Post`] |
//! | [`kretprobe::Kind`] | [`kretprobe::Options`], [`kretprobe::Specific`] | [`kretprobe::Context`], [`kretprobe::ReturnContext`] | [`kprobe::Pre`], [`kretprobe::Return`] |
//! | [`timed::Kind`] | [`timed::Options`] | [`timed::Context`], [`timed::ReturnContext`] | the same |
//! | [`entry::Kind`] | [`entry::Options`], [`entry::Specific`] | [`entry::Context`] | [`entry::AtEntry`] |
//! | [`tracepoint::Kind`] | [`tracepoint::Options`] | [`tracepoint::Context`] | [`tracepoint::Trace`] |
//! | [`overrides::Kind`] | [`overrides::Options`] | [`overrides::Context`] | [`kprobe::Pre`] |
//! | [`redirect::Kind`] | [`redirect::Options`] | [`redirect::Context`] | [`kprobe::Pre`] |

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
