// SPDX-License-Identifier: GPL-2.0

//! Logs CPU registers before and after an instruction. The parameter is its offset, see `objdump -d
//! vmlinux`; the default is the first instruction after the ftrace call at the entry.

use kernel::prelude::*;
use kprobes::{kprobe, regs::Register, Address, Kprobe, Target};

module! {
    type: Registers,
    name: "registers",
    authors: ["The rust_kprobe authors"],
    description: "Dumps registers before and after an instruction of kernel_clone",
    license: "GPL",
    params: {
        offset: u32 {
            default: 0,
            description: "Where in kernel_clone the instruction is",
        },
    },
}

#[cfg(CONFIG_X86_64)]
const SHOWN: [(&str, Register); 3] = [
    ("first argument", Register::Di),
    ("result", Register::Ax),
    ("stack pointer", Register::Sp),
];
#[cfg(CONFIG_ARM64)]
const SHOWN: [(&str, Register); 3] = [
    ("first argument", Register::X(0)),
    ("link", Register::X(30)),
    ("stack pointer", Register::Sp),
];
#[cfg(CONFIG_RISCV)]
const SHOWN: [(&str, Register); 3] = [
    ("first argument", Register::X(10)),
    ("link", Register::X(1)),
    ("stack pointer", Register::X(2)),
];

/// The offset of the first instruction after the ftrace call. Another instruction precedes the
/// call: `endbr64` on x86-64 with IBT, and one on arm64 and riscv64.
const ENTRY: u32 = if cfg!(not(CONFIG_X86_64)) {
    8
} else if cfg!(CONFIG_X86_KERNEL_IBT) {
    9
} else {
    5
};

struct Dump;

#[vtable]
impl kprobe::Handler for Dump {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        let comm = cx.comm();
        pr_info!(
            "comm={comm} before: ip - probe = {}\n",
            cx.ip() - cx.address().as_usize()
        );
        for (name, register) in SHOWN {
            // A register may hold a kernel address, so hash it, like %p.
            let value = Address::new(cx.register(register));
            pr_info!("comm={comm} before: {name} {value}\n");
        }
    }

    fn post(&self, cx: &kprobe::PostContext<'_>) {
        pr_info!("comm={} after: flags={:x}\n", cx.comm(), cx.flags());
    }
}

struct Registers {
    _probe: Pin<KBox<Kprobe<Dump>>>,
}

impl kernel::Module for Registers {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let offset = match kprobes::param(&module_parameters::offset) {
            0 => ENTRY,
            offset => offset,
        };
        let target = Target::symbol(c"kernel_clone").offset(offset);
        let probe = KBox::pin_init(Kprobe::new(target, Dump), GFP_KERNEL)?;
        pr_info!("at {}\n", probe.location());
        Ok(Self { _probe: probe })
    }
}
