// SPDX-License-Identifier: GPL-2.0

//! Kprobes where none can be, and kretprobes at what is not the entry of a function.

// case null: refused EINVAL
// case null_and_more: refused EINVAL
// case user: refused ENOENT
// case not_canonical: refused ENOENT
// case last: refused ENOENT
// case wraps: refused ENOENT
// case data: refused EINVAL
// case heap: refused ENOENT
// case stack: refused ENOENT
// case huge_offset: refused ENOENT
// case within: refused EILSEQ
// case not_to_be_probed: refused EINVAL
// case no_name: refused ENOENT
// case colon: refused ENOENT
// case no_symbol: refused ENOENT
// case colons: refused ENOENT
// case long: refused ENOENT
// case long_module: refused ENOENT
// case format: refused ENOENT
// case bytes: refused ENOENT
// case white: refused ENOENT
// case no_case: refused ENOTTY
// case return_offset: refused EINVAL
// case return_assembly: refused EINVAL
// case return_not_traced: refused EINVAL
// case return_own_rust: refused EINVAL
// case return_set: refused EINVAL
// says: target 2 of a set is refused: -EINVAL
// case return_null: refused EINVAL

use super::*;

static DATA: Atomic<u64> = Atomic::new(1);

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    let returns = |target| one(Kretprobe::new(target, Nop));
    let assembly = Target::symbol(c"__switch_to_asm");
    let on_stack = 0u64;
    let on_heap = KBox::new([0u64; 64], GFP_KERNEL)?;
    let long = CString::try_from_fmt(fmt!("{:x>10000}", ""))?;
    let long_module = CString::try_from_fmt(fmt!("{:x>10000}:f", ""))?;
    let target = match case {
        b"null" => Target::address(0),
        b"null_and_more" => Target::address(0).offset(u32::MAX),
        b"user" => Target::address(0x40_0000),
        b"not_canonical" => Target::address(0x8000_0000_0000_0000),
        b"last" => Target::address(usize::MAX),
        b"wraps" => Target::address(usize::MAX).offset(u32::MAX),
        b"data" => Target::address(&raw const DATA as usize),
        b"heap" => Target::address(&raw const *on_heap as usize),
        b"stack" => Target::address(&raw const on_stack as usize),
        b"huge_offset" => Target::symbol(c"kernel_clone").offset(u32::MAX),
        // Within ftrace's call at the entry, or the instruction that marks it.
        b"within" => Target::symbol(c"kernel_clone").offset(1),
        b"not_to_be_probed" => Target::symbol(c"get_kprobe"),
        b"no_name" => Target::symbol(c""),
        b"colon" => Target::symbol(c":"),
        b"no_symbol" => Target::symbol(c"attacks:"),
        b"colons" => Target::symbol(c":::kernel_clone"),
        b"long" => Target::symbol(&long),
        b"long_module" => Target::symbol(&long_module),
        b"format" => Target::symbol(c"%s%s%n%pS"),
        b"bytes" => Target::symbol(c"\xff\xfe\n\x1b[2J"),
        b"white" => Target::symbol(c" kernel_clone"),
        b"return_set" => {
            let targets = [PLACE, PLACE, assembly, PLACE];
            return one(KretprobeSet::new(&targets, Nop));
        }
        b"return_offset" => return returns(Target::symbol(c"kernel_clone").offset(64)),
        b"return_assembly" => return returns(assembly),
        b"return_not_traced" => return returns(Target::symbol(c"__schedule")),
        b"return_own_rust" => {
            let rust = <Nop as kprobe::Handler>::pre as *const () as usize;
            return returns(Target::address(rust));
        }
        b"return_null" => return returns(Target::address(0)),
        _ => return Err(ENOTTY),
    };
    one(Kprobe::new(target, Nop))
}
