// SPDX-License-Identifier: GPL-2.0

//! Events with the names, fields and values of six of the scheduler's
//! (`include/trace/events/sched.h`), for `tests/inside/selftests.py`.

#![forbid(unsafe_code)]

use kernel::prelude::*;
use kernel::sync::Arc;
use kprobes::event::{Pid, Str};
use kprobes::nofault::KernelPtr;
use kprobes::tracepoint::{Context, Handler};
use kprobes::{field, Comm, Exec, FromWords, Tracepoint};

module! {
    type: RustSched,
    name: "rust_sched",
    authors: ["Rust kprobe"],
    description: "Events in place of the scheduler's",
    license: "GPL",
}

kprobes::c_structs!(c);
type Task = KernelPtr<c::task_struct>;

kprobes::trace_event! {
    struct Fork<'a> = "rust_sched:sched_process_fork"
        as "comm={parent_comm} pid={parent_pid} child_comm={child_comm} child_pid={child_pid}"
    {
        parent_comm: Str<'a, 16>,
        parent_pid: Pid,
        child_comm: Str<'a, 16>,
        child_pid: Pid,
    }
}

kprobes::trace_event! {
    struct Program<'a> = "rust_sched:sched_process_exec" {
        filename: Str<'a, 256>,
        pid: Pid,
        old_pid: Pid,
    }
}

kprobes::trace_event! {
    struct Exit = "rust_sched:sched_process_exit" {
        comm: Comm,
        pid: Pid,
        prio: i32,
        group_dead: bool,
    }
}

kprobes::trace_event! {
    struct Switch = "rust_sched:sched_switch" {
        prev_comm: Comm,
        prev_pid: Pid,
        prev_prio: i32,
        prev_state: isize,
        next_comm: Comm,
        next_pid: Pid,
        next_prio: i32,
    }
}

fn fork(cx: &Context<'_>, (parent, child): (Task, Task)) -> Result {
    let (parent_comm, child_comm) = (Comm::of(parent)?, Comm::of(child)?);
    Fork {
        parent_comm: Str::new(parent_comm.as_bytes()),
        parent_pid: Pid(field!(parent, pid)?),
        child_comm: Str::new(child_comm.as_bytes()),
        child_pid: Pid(field!(child, pid)?),
    }
    .emit(cx);
    Ok(())
}

fn exec(cx: &Context<'_>, (task, old_pid, program): (Task, i32, Exec)) -> Result {
    let mut buf = [0; 256];
    Program {
        filename: program.filename()?.read(&mut buf).into(),
        pid: Pid(field!(task, pid)?),
        old_pid: Pid(old_pid),
    }
    .emit(cx);
    Ok(())
}

fn exit(cx: &Context<'_>, (task, group_dead): (Task, bool)) -> Result {
    Exit {
        comm: Comm::of(task)?,
        pid: Pid(field!(task, pid)?),
        prio: field!(task, prio)?,
        group_dead,
    }
    .emit(cx);
    Ok(())
}

/// An event of a task that is woken up, and the function that emits it.
macro_rules! woken {
    ($event:ident = $name:literal, $function:ident) => {
        kprobes::trace_event! {
            struct $event = $name {
                comm: Comm,
                pid: Pid,
                prio: i32,
                target_cpu: i32,
            }
        }

        fn $function(cx: &Context<'_>, (task,): (Task,)) -> Result {
            $event {
                comm: Comm::of(task)?,
                pid: Pid(field!(task, pid)?),
                prio: field!(task, prio)?,
                target_cpu: field!(task, thread_info.cpu)? as i32,
            }
            .emit(cx);
            Ok(())
        }
    };
}

woken!(Waking = "rust_sched:sched_waking", waking);
woken!(Wakeup = "rust_sched:sched_wakeup", wakeup);

fn switch(cx: &Context<'_>, (preempt, prev, next, state): (bool, Task, Task, u32)) -> Result {
    Switch {
        prev_comm: Comm::of(prev)?,
        prev_pid: Pid(field!(prev, pid)?),
        prev_prio: field!(prev, prio)?,
        // TASK_REPORT_MAX, or a state up to TASK_PARKED or TASK_IDLE.
        prev_state: if preempt {
            0x100
        } else {
            (state & 0xff) as isize
        },
        next_comm: Comm::of(next)?,
        next_pid: Pid(field!(next, pid)?),
        next_prio: field!(next, prio)?,
    }
    .emit(cx);
    Ok(())
}

/// Calls a function. If it cannot read the data, there is no record.
struct On<A>(fn(&Context<'_>, A) -> Result);

#[vtable]
impl<A: FromWords + 'static> Handler for On<A> {
    type Args = A;

    fn hit(&self, cx: &Context<'_>, args: A) {
        let _ = (self.0)(cx, args);
    }
}

trait Held: Send + Sync {}
impl<T: Send + Sync> Held for T {}

struct RustSched(#[expect(dead_code)] [Arc<dyn Held>; 6]);

/// A tracepoint that calls a function while its event has a listener.
macro_rules! armed {
    ($event:ident, $name:literal, $function:ident) => {{
        let probe = Tracepoint::new($name, On($function));
        let probe: Arc<dyn Held> = Arc::pin_init($event::arms(probe), GFP_KERNEL)?;
        probe
    }};
}

impl kernel::Module for RustSched {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self([
            armed!(Fork, c"sched_process_fork", fork),
            armed!(Program, c"sched_process_exec", exec),
            armed!(Exit, c"sched_process_exit", exit),
            armed!(Waking, c"sched_waking", waking),
            armed!(Wakeup, c"sched_wakeup", wakeup),
            armed!(Switch, c"sched_switch", switch),
        ]))
    }
}
