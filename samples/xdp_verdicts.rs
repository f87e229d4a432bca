// SPDX-License-Identifier: GPL-2.0

//! Counts the verdicts of XDP programs, and the packets that reach the stack.

use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kprobes::{kprobe, kretprobe, Kprobe, Kretprobe, Target};

module! {
    type: XdpVerdicts,
    name: "xdp_verdicts",
    authors: ["The rust_kprobe authors"],
    description: "Counts the verdicts of XDP programs, and what the stack receives",
    license: "GPL",
}

/// `enum xdp_action`.
const ACTIONS: [&str; 5] = ["aborted", "drop", "pass", "tx", "redirect"];

/// At the return of the function that runs a program.
struct Verdicts([Atomic<u64>; ACTIONS.len()]);

#[vtable]
impl kretprobe::Handler for Verdicts {
    type Data = ();

    fn ret(&self, cx: &kretprobe::ReturnContext<'_>, (): ()) {
        if let Some(count) = self.0.get(cx.ret::<u32>() as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    fn unregistered(&self, missed: u64) {
        for (action, count) in ACTIONS.iter().zip(&self.0) {
            if count.load(Relaxed) != 0 {
                pr_info!("verdict {action}: {}\n", count.load(Relaxed));
            }
        }
        pr_info!("verdicts missed: {missed}\n");
    }
}

/// At the entry of the IPv4 receive function.
struct Received(Atomic<u64>);

#[vtable]
impl kprobe::Handler for Received {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        self.0.fetch_add(1, Relaxed);
    }

    fn unregistered(&self, missed: u64) {
        pr_info!("received: {}, missed: {missed}\n", self.0.load(Relaxed));
    }
}

struct XdpVerdicts {
    _verdicts: Pin<KBox<Kretprobe<Verdicts>>>,
    _received: Pin<KBox<Kprobe<Received>>>,
}

impl kernel::Module for XdpVerdicts {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let verdicts = Verdicts([const { Atomic::new(0) }; ACTIONS.len()]);
        let verdicts = Kretprobe::new(Target::symbol(c"bpf_prog_run_generic_xdp"), verdicts);
        let received = Kprobe::new(Target::symbol(c"ip_rcv"), Received(Atomic::new(0)));
        Ok(Self {
            _verdicts: KBox::pin_init(verdicts, GFP_KERNEL)?,
            _received: KBox::pin_init(received, GFP_KERNEL)?,
        })
    }
}
