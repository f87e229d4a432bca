// SPDX-License-Identifier: GPL-2.0

//! The largest stacks, in handlers at the unwinder, and at tracepoints of interrupts and locks.

// case unwinder: harmless
// says: place: CALLS hits, 0 missed
// says: unwinder: \d+ hits, \d+ missed
// says: within: \d+ hits, \d+ missed
// races
// case tracepoints: harmless
// says: tracepoints: [1-9]\d* hits, \d+ missed
// races

use super::*;

struct Unwinds(Counts);

impl Unwinds {
    fn new(name: &'static str) -> Self {
        Self(Counts::new(name))
    }
}

handlers!(Unwinds);

impl Hits for Unwinds {
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
            add(&mut kept, Kprobe::new(PLACE, Unwinds::new("place")))?;
            let names = c"unwind_*,__unwind_start,*text_address,*_stack";
            add(
                &mut kept,
                EntrySet::matching(names, Unwinds::new("unwinder")),
            )?;
            let within = b"unwind_next_frame,__unwind_start,unwind_get_return_address,\
                __kernel_text_address,get_stack_info";
            let (names, options) = (split(within)?, kprobe::Options::default().partial());
            let targets = targets(&names)?;
            let set = KprobeSet::with_options(&targets, options, Unwinds::new("within"));
            add(&mut kept, set)?;
        }
        b"tracepoints" => {
            let names = split(
                b"kmalloc,kfree,sched_switch,sched_wakeup,timer_start,timer_expire_entry,\
                hrtimer_expire_entry,irq_handler_entry,softirq_entry,local_timer_entry,\
                reschedule_entry,page_fault_kernel,sys_enter,rcu_utilization",
            )?;
            let mut list = KVec::new();
            for name in &names {
                list.push(&**name, GFP_KERNEL)?;
            }
            let options = tracepoint::Options::default().partial();
            let set = TracepointSet::with_options(&list, options, Unwinds::new("tracepoints"));
            add(&mut kept, set)?;
        }
        _ => return Err(ENOTTY),
    }
    Ok(kept)
}
