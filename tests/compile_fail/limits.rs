// SPDX-License-Identifier: GPL-2.0
// error: kretprobe::Handler::Data is larger than KRETPROBE_MAX_DATA_SIZE
// error: kretprobe::Handler::Data needs a larger alignment than kretprobe_instance
// error: a handler must implement `pre` or `post`
// error: a handler can read at most five arguments
// error: a read must not exceed 1024 bytes
// error: a shown string must not exceed 1024 bytes
// error: N must be 1 to 1024
// error: N must be 1 to 127
// error: a key and its value must not exceed 2040 bytes

use core::marker::PhantomData;
use kernel::prelude::*;
use kprobes::*;

const F: Target<'static> = Target::symbol(c"f");

#[allow(dead_code)]
const __LOG_PREFIX: &[u8] = b"limits\0";

pub struct Keeps<T>(PhantomData<fn() -> T>);

#[vtable]
impl<T: Copy + Send + Sync + 'static> kretprobe::Handler for Keeps<T> {
    type Data = T;

    fn entry(&self, _cx: &kretprobe::Context<'_>) -> Option<T> {
        None
    }

    fn ret(&self, _cx: &kretprobe::ReturnContext<'_>, _data: T) {}
}

// The kernel would refuse to register the probe.
pub fn data_too_large() -> Result<Pin<KBox<Kretprobe<Keeps<[u8; 4097]>>>>> {
    KBox::pin_init(Kretprobe::new(F, Keeps(PhantomData)), GFP_KERNEL)
}

// The kernel aligns an instance only for its own fields.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Line(pub [u8; 64]);

pub fn data_overaligned() -> Result<Pin<KBox<Kretprobe<Keeps<Line>>>>> {
    KBox::pin_init(Kretprobe::new(F, Keeps(PhantomData)), GFP_KERNEL)
}

// A probe without callbacks is a mistake.
pub struct Nothing;

#[vtable]
impl kprobe::Handler for Nothing {}

pub fn handler_of_nothing() -> Result<Pin<KBox<Kprobe<Nothing>>>> {
    KBox::pin_init(Kprobe::new(F, Nothing), GFP_KERNEL)
}

// The sixth argument is on the stack.
pub struct Six;

#[vtable]
impl tracepoint::Handler for Six {
    type Args = (u8, u8, u8, u8, u8, u8);

    fn hit(&self, _cx: &tracepoint::Context<'_>, _args: Self::Args) {}
}

pub fn six_arguments_of_a_tracepoint() -> Result<Pin<KBox<Tracepoint<Six>>>> {
    KBox::pin_init(Tracepoint::new(c"x", Six), GFP_KERNEL)
}

// A handler runs on the stack of the probed code, which may be almost full.
pub struct Reads;

#[vtable]
impl entry::Handler for Reads {
    fn entry(&self, cx: &entry::Context<'_>) {
        let _ = cx.arg0::<nofault::UserPtr<[u8; 20000]>>().read();
        pr_info!("{}\n", cx.arg0::<nofault::UserStr>().show::<14000>());
        pr_info!("{}\n", cx.stack::<128>());
        pr_info!("{}\n", cx.stack::<0>());
    }
}

pub fn read_too_large_and_stacks_of_none() -> Result<Pin<KBox<Entry<Reads>>>> {
    KBox::pin_init(Entry::new(F, Reads), GFP_KERNEL)
}

// More counters than the kernel has per-CPU memory for.
pub fn counts_out_of_bounds() -> Result<PerCpuCounts<{ usize::MAX / 8 + 1 }>> {
    PerCpuCounts::new()
}

// The value is copied on the stack of the probed code.
pub fn value_too_large() -> Result<Map<u32, [u64; 255]>> {
    Map::new(1)
}
