// SPDX-License-Identifier: GPL-2.0

//! Counts the verdicts of XDP programs, and the packets that reach the stack.

use kernel::prelude::*;
use kprobes::{kprobe, kretprobe, Count, Kprobe, Kretprobe, Target};

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
struct Verdicts([Count; ACTIONS.len()]);

#[vtable]
impl kretprobe::Handler for Verdicts {
    type Data = ();

    fn ret(&self, cx: &kretprobe::ReturnContext<'_>, (): ()) {
        if let Some(count) = self.0.get(cx.ret::<u32>() as usize) {
            count.add(1);
        }
    }

    fn unregistered(&self, missed: u64) {
        for (action, count) in ACTIONS.iter().zip(&self.0) {
            if count.get() != 0 {
                pr_info!("verdict {action}: {}\n", count.get());
            }
        }
        pr_info!("verdicts missed: {missed}\n");
    }
}

/// At the entry of the IPv4 receive function.
struct Received(Count);

#[vtable]
impl kprobe::Handler for Received {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        self.0.add(1);
    }

    fn unregistered(&self, missed: u64) {
        pr_info!("received: {}, missed: {missed}\n", self.0.get());
    }
}

struct XdpVerdicts {
    _verdicts: Pin<KBox<Kretprobe<Verdicts>>>,
    _received: Pin<KBox<Kprobe<Received>>>,
}

impl kernel::Module for XdpVerdicts {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let verdicts = Verdicts([const { Count::new() }; ACTIONS.len()]);
        let verdicts = Kretprobe::new(Target::symbol(c"bpf_prog_run_generic_xdp"), verdicts);
        let received = Kprobe::new(Target::symbol(c"ip_rcv"), Received(Count::new()));
        Ok(Self {
            _verdicts: KBox::pin_init(verdicts, GFP_KERNEL)?,
            _received: KBox::pin_init(received, GFP_KERNEL)?,
        })
    }
}
