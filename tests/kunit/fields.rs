// SPDX-License-Identifier: GPL-2.0

//! `field!`: all kinds of C members, with the values that `targets.c` writes.

use crate::c;
use crate::targets::*;
use kprobes::nofault::KernelPtr;
use kprobes::nofault::KernelStr;

/// Runs the case with zeros, and with ones, in all bits that belong to no member.
fn each(case: impl Fn(KernelPtr<c::kut_fields>) -> Result) -> Result {
    case(KernelPtr::new(kut_fields(0)))?;
    case(KernelPtr::new(kut_fields(0xff)))
}

#[kunit_tests(kprobes_fields)]
mod tests {
    use super::*;

    #[test]
    fn integer_fields_are_read() -> Result {
        each(|f| {
            assert_eq!(field!(f, small)?, -1i8);
            assert!(field!(f, flag)?);
            assert_eq!(field!(f, sign)?, -2i32);
            assert_eq!(field!(f, color)?, 3u32);
            assert_eq!(field!(f, word)?, -3isize);
            assert_eq!(field!(f, wide)?, 0xfedc_ba98_7654_3210u64);
            assert_eq!(field!(f, size)?, usize::MAX - 4);
            assert_eq!(u16::from_be(field!(f, port)?), 8080);
            assert_eq!(field!(f, type)?, 5u32);
            assert_eq!(field!(f, r#fixed)?, 6u32);
            Ok(())
        })
    }

    #[test]
    fn members_of_structs_and_unions_are_read() -> Result {
        each(|f| {
            assert_eq!(field!(f, nested.inner)?, 7u32);
            assert_eq!(field!(f, nested.part.second)?, -9i32);
            assert_eq!(field!(f, whole)?, 0x5678_1234u32);
            assert_eq!(field!(f, low)?, 0x1234u16);
            assert_eq!(field!(f, high)?, 0x5678u16);
            let nested = field!(f, nested)?;
            let part: KernelPtr<c::kut_part> = field!(nested, part)?;
            assert_eq!(field!(part, first)?, 8u16);
            assert_eq!(field!(field!(f, count)?, counter)?, -50i32);
            let tag: KernelPtr<c::kut_tag_t> = field!(f, tag)?;
            assert_eq!(field!(tag, kind)?, 51u8);
            Ok(())
        })
    }

    #[test]
    fn bit_fields_are_read() -> Result {
        each(|f| {
            assert_eq!(field!(f, bits)?, 5u32);
            assert_eq!(field!(f, more)?, 0x55u32);
            assert_eq!(field!(f, negative)?, -10i32);
            assert!(field!(f, bit)?);
            assert_eq!(field!(f, bright)?, 2u32);
            assert_eq!(field!(f, first)?, 0xabcdeu64);
            assert_eq!(field!(f, across)?, 0x12_3456_789au64);
            assert_eq!(field!(f, below)?, -11i64);
            assert_eq!(field!(f, pair[0].deep)?, 12u8);
            assert_eq!(field!(f, pair[1].deep)?, 13u8);
            assert_eq!(field!(field!(f, pair)?.element(1), deep)?, 13u8);
            Ok(())
        })
    }

    #[test]
    fn array_fields_are_read() -> Result {
        each(|f| {
            assert!(field!(f, bytes)? == *b"field");
            assert_eq!(field!(f, bytes[4])?, b'd');
            assert!(field!(f, flags)? == [1u8, 0, 1]);
            assert!(field!(f, flags[2])?);
            assert!(field!(f, table)? == [[-20i16, -21, -22], [-23, -24, -25]]);
            assert!(field!(f, table[1])? == [-23i16, -24, -25]);
            assert_eq!(field!(f, table[1][2])?, -25i16);
            assert_eq!(field!(f, parts[2].second)?, -42i32);
            assert_eq!(field!(field!(f, parts)?.element(1), second)?, -41i32);
            assert_eq!(field!(f, big[299])?, 1299u32);
            assert_eq!(field!(f, &big)?.element(298).read()?, 1298u32);
            assert_eq!(field!(f, tail)?.element(1).read()?, 62u32);
            assert_eq!(field!(f, tail[0])?, 61u32);
            assert_eq!(field!(f, &wide)?.read()?, 0xfedc_ba98_7654_3210u64);
            Ok(())
        })
    }

    #[test]
    fn pointer_fields_are_followed() -> Result {
        each(|f| {
            assert_eq!(field!(f, part.second)?, -72i32);
            let part: KernelPtr<c::kut_part> = field!(f, part)?;
            assert_eq!(field!(part, first)?, 71u16);
            assert!(field!(f, pointers)? == [KernelPtr::new(0), part]);
            assert_eq!(field!(f, pointers[1].first)?, 71u16);
            assert!(field!(f, link)?.read()? == f);
            assert_eq!(field!(f, tag.of.tag.of.part.first)?, 71u16);
            assert_eq!(field!(f, number)?.read()?, 73u32);
            assert!(!field!(f, function)?.is_null());
            assert_eq!(field!(f, nothing)?.addr(), 1);
            let mut buf = [0; 8];
            let text = KernelStr::new(field!(f, text)?.addr());
            assert!(text.read(&mut buf)?.as_bytes() == b"text");
            Ok(())
        })
    }

    #[test]
    fn reads_through_invalid_pointers_fault() -> Result {
        each(|f| {
            assert!(field!(f, next)?.is_null());
            assert!(field!(f, next.small).err() == Some(EFAULT));
            assert!(field!(f, next.next.part.first).err() == Some(EFAULT));
            assert!(field!(f, next.bits).err() == Some(EFAULT));
            assert!(field!(f, next.bytes).err() == Some(EFAULT));
            assert!(field!(f, pointers[0].first).err() == Some(EFAULT));
            // The address of a member is computed without a read.
            assert!(field!(f, next.nested).is_ok());
            assert!(field!(f, next.next.nested).err() == Some(EFAULT));
            for addr in [0, 1, 0x1000, 0x8000_0000_0000_0000, usize::MAX] {
                let nowhere = KernelPtr::<c::kut_fields>::new(addr);
                assert!(field!(nowhere, tag.kind).err() == Some(EFAULT));
            }
            Ok(())
        })
    }

    #[test]
    fn structs_of_the_kernel_are_read() -> Result {
        // SAFETY: Reading `current` has no requirements.
        let current = unsafe { kernel::bindings::get_current() };
        let task = KernelPtr::<c::task_struct>::new(current as usize);
        assert_eq!(field!(task, pid)?, kernel::current!().pid());
        let mut comm = [0; 16];
        let shown = field!(task, comm)?;
        let read = KernelStr::new(field!(task, &comm)?.addr()).read(&mut comm)?;
        assert!(shown.starts_with(read.as_bytes()));
        assert_eq!(field!(task, real_parent.tgid)?, field!(task, parent.tgid)?);
        assert!(field!(task, thread_pid.level)? == 0);
        Ok(())
    }
}
