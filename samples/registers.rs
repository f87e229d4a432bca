// SPDX-License-Identifier: GPL-2.0

//! What is in the registers at one instruction, and what does it do to them?
//! The offset is that of an instruction: `objdump -d vmlinux` tells. 5 is the
//! first behind ftrace's call at the entry.

use kernel::prelude::*;
use kprobes::{Context, Handler, Kprobe, Post, Probe, Register, Target};

module! {
    type: Registers,
    name: "registers",
    authors: ["The rust_kprobe authors"],
    description: "Dumps registers before and after an instruction of kernel_clone",
    license: "GPL",
    params: {
        offset: u32 {
            default: 5,
            description: "Where in kernel_clone the instruction is",
        },
    },
}

struct Dump;

#[vtable]
impl Handler for Dump {
    fn pre(&self, cx: &Context<'_>) {
        let [ax, bx, di, si] =
            [Register::Ax, Register::Bx, Register::Di, Register::Si].map(|r| cx.register(r));
        pr_info!(
            "comm={} before: ip - probe = {}\n",
            cx.comm(),
            cx.ip() - cx.address().as_usize()
        );
        pr_info!(
            "comm={} before: ax={ax:x} bx={bx:x} di={di:x} si={si:x}\n",
            cx.comm()
        );
    }

    fn post(&self, cx: &Context<'_, Post>) {
        pr_info!("comm={} after: flags={:x}\n", cx.comm(), cx.flags());
    }
}

struct Registers {
    _probe: Pin<KBox<Kprobe<Dump>>>,
}

impl kernel::Module for Registers {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let target = Target::symbol(c"kernel_clone").offset(*module_parameters::offset.value());
        let probe = KBox::pin_init(Kprobe::new(target, Dump), GFP_KERNEL)?;
        pr_info!("at {} {}\n", probe.location(), probe.address());
        Ok(Self { _probe: probe })
    }
}
