// SPDX-License-Identifier: GPL-2.0

//! Kernel addresses, printed in all ways that the library has.

// case shown: harmless
// says: heap [0-9a-f]{16}
// says: data ([\w:]+\+0x\w+ \[attacks\]|[0-9a-f]{16})
// says: stack [0-9a-f]{16}
// says: nowhere [0-9a-f]{16}
// says: text kernel_clone\+0x\w+
// says: pointer [0-9a-f]{16} [0-9a-f]{16}
// says: address [0-9a-f]{16} [0-9a-f]{16}
// says: errors .*
// case flags: harmless
// says: [^\n]*kernel_clone[^\n]*
// says: [0-9a-f]{16} [0-9a-f]{16} [0-9a-f]{16}
// says: python3 python3 python3
// says: \(fault\) \(fault\) \(fault\)

use super::*;

static DATA: Atomic<u64> = Atomic::new(1);

struct Flags(Atomic<bool>);

#[vtable]
impl kprobe::Handler for Flags {
    fn pre(&self, cx: &kprobe::Context<'_>) {
        if !self.0.xchg(true, Relaxed) {
            let address = cx.address();
            pr_info!("{address} {address:>40} {address:#018.3}\n");
            let comm = cx.comm();
            pr_info!("{comm} {comm:>7} {comm:^7.7}\n");
            let string = UserStr::new(1).show::<8>();
            pr_info!("{string} {string:>3} {string:.1}\n");
        }
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let on_stack = 0u64;
    let on_heap = KBox::new([0u64; 64], GFP_KERNEL)?;
    let heap = &raw const *on_heap as usize;
    let data = &raw const DATA as usize;
    let location = boxed(Kprobe::new(Target::symbol(c"kernel_clone"), Nop))?.location();
    match case {
        b"shown" => {
            let stack = &raw const on_stack as usize;
            pr_info!("heap {}\n", Address::new(heap).location());
            pr_info!("data {}\n", Address::new(data).location());
            pr_info!("stack {}\n", Address::new(stack).location());
            pr_info!("nowhere {}\n", Address::new(usize::MAX << 40).location());
            pr_info!("text {location}\n");
            let pointer = KernelPtr::<u64>::new(heap);
            pr_info!("pointer {pointer} {}\n", pointer.element(1));
            pr_info!("address {} {}\n", Address::new(heap), Address::new(data));
            let of = |errno: isize| KernelPtr::<u64>::new(errno as usize);
            pr_info!("errors {} {} {}\n", of(0), of(-1), of(-4095));
            Ok(Kept::new())
        }
        b"flags" => {
            pr_info!("{location:>200} {location:.3} {location:?<20}\n");
            one(Kprobe::new(PLACE, Flags(Atomic::new(false))))
        }
        _ => Err(ENOTTY),
    }
}
