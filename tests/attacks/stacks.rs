// SPDX-License-Identifier: GPL-2.0

//! Stacks of the largest size, in handlers at what the kernel itself unwinds with, and everywhere
//! else that code is interrupted, locked or scheduled.

// case unwinder: harmless
// says: place: CALLS hits, 0 missed
// says: unwinder: \d+ hits, \d+ missed
// says: within: \d+ hits, \d+ missed
// races
// case tracepoints: harmless
// says: tracepoints: [1-9]\d* hits, \d+ missed
// races

use super::*;

struct Takes(Counts);

impl Takes {
    fn new(name: &'static str) -> Self {
        Self(Counts::new(name))
    }
}

handlers!(Takes);

impl Hits for Takes {
    fn hit<At: Place>(&self, cx: &Context<'_, At>, _address: Option<Address>) {
        self.0.hit();
        if cx.stack::<127>().frames().is_empty() {
            pr_warn!("{}: a stack without frames\n", self.0.name);
        }
    }

    fn end(&self, what: &str, missed: u64) {
        self.0.end(what, missed);
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let mut kept = Kept::new();
    match case {
        b"unwinder" => {
            add(&mut kept, Kprobe::new(PLACE, Takes::new("place")))?;
            let names = c"unwind_*,__unwind_start,*text_address,*_stack";
            add(&mut kept, EntrySet::matching(names, Takes::new("unwinder")))?;
            let within = [
                c"unwind_next_frame",
                c"__unwind_start",
                c"unwind_get_return_address",
                c"__kernel_text_address",
                c"get_stack_info",
            ]
            .map(Target::symbol);
            let options = kprobe::Options::default().partial();
            let set = KprobeSet::with_options(&within, options, Takes::new("within"));
            add(&mut kept, set)?;
        }
        b"tracepoints" => {
            let names = [
                c"kmalloc",
                c"kfree",
                c"sched_switch",
                c"sched_wakeup",
                c"timer_start",
                c"timer_expire_entry",
                c"hrtimer_expire_entry",
                c"irq_handler_entry",
                c"softirq_entry",
                c"local_timer_entry",
                c"reschedule_entry",
                c"page_fault_kernel",
                c"sys_enter",
                c"rcu_utilization",
            ];
            let options = tracepoint::Options::default().partial();
            let set = TracepointSet::with_options(&names, options, Takes::new("tracepoints"));
            add(&mut kept, set)?;
        }
        _ => return Err(ENOTTY),
    }
    Ok(kept)
}
