// SPDX-License-Identifier: GPL-2.0

//! `UserPtr`, `KernelPtr`, `UserStr`, `KernelStr`: readable and unreadable memory.

use crate::targets::*;
use kernel::page::PAGE_SIZE;
use kernel::str::CString;
use kprobes::nofault::KernelPtr;
use kprobes::nofault::KernelStr;
use kprobes::nofault::UserPtr;
use kprobes::nofault::UserStr;

/// Addresses that are unreadable as kernel and as user memory.
const NOWHERE: [usize; 12] = [
    0,
    1,
    0xfff,
    0x8000_0000_0000_0000,
    0x0000_8000_0000_0000,
    0xffff_7fff_ffff_ffff,
    0xdead_0000_0000_0100,
    // On x86-64, the hole before the direct map.
    0xffff_8000_0000_0000,
    usize::MAX,
    usize::MAX - 3,
    usize::MAX - 7,
    usize::MAX - 4095,
];

/// Returns how many of four reads fail with `EFAULT`.
fn faults(addr: usize) -> usize {
    let mut buf = [0; 16];
    let number = KernelPtr::<u64>::new(addr).read().err();
    let array = UserPtr::<[u8; 1024]>::new(addr).read().err();
    let kernel = KernelStr::new(addr).read(&mut buf).err();
    let user = UserStr::new(addr).read(&mut buf).err();
    let all = [number, array, kernel, user];
    all.iter().filter(|error| **error == Some(EFAULT)).count()
}

#[kunit_tests(kprobes_memory)]
mod tests {
    use super::*;

    #[test]
    fn string_lengths_are_measured() -> Result {
        let page = kut_user_pages(1);
        assert!(page != 0);
        let mut text = KBox::new([0u8; 32], GFP_KERNEL)?;
        let (kernel, user) = (KernelStr::new(text.as_ptr() as usize), UserStr::new(page));
        for len in [0, 1, 7, 8, 9, 20] {
            text.fill(b'x');
            text[len] = 0;
            write_user(page, &text[..])?;
            let (mut buf, mut user_buf) = ([0xaa; 8], [0xaa; 8]);
            for got in [kernel.read(&mut buf)?, user.read(&mut user_buf)?] {
                assert!(*got.as_bytes() == b"xxxxxxxx"[..len.min(8)]);
                assert_eq!(got.is_cut(), len > 8);
            }
            assert_eq!([kernel.length(100)?, user.length(100)?], [len; 2]);
            assert_eq!([kernel.length(8)?, user.length(8)?], [len.min(8); 2]);
        }
        Ok(())
    }

    #[test]
    fn a_user_string_may_end_before_an_unmapped_page() -> Result {
        let page = kut_user_pages(1);
        assert!(page != 0);
        let end = page + PAGE_SIZE;
        write_user(end - 4, b"abc\0")?;
        let mut buf = [0; 64];
        // The string ends just before an unmapped page.
        assert!(UserStr::new(end - 4).read(&mut buf)?.as_bytes() == b"abc");
        // The buffer ends there.
        write_user(end - 4, b"abcd")?;
        assert!(UserStr::new(end - 4).read(&mut buf[..4])?.as_bytes() == b"abcd");
        // Neither the string nor the buffer ends there.
        assert!(UserStr::new(end - 4).read(&mut buf).err() == Some(EFAULT));
        assert!(UserStr::new(end).read(&mut buf).err() == Some(EFAULT));
        // The byte after the buffer is unreadable, so the string counts as truncated.
        assert!(UserStr::new(end - 4).read(&mut buf[..4])?.is_cut());
        assert!(UserStr::new(end - 4).length(4)? == 4);
        assert!(UserStr::new(end - 4).length(5).err() == Some(EFAULT));
        Ok(())
    }

    #[test]
    fn strings_across_pages_are_read() -> Result {
        let pages = kut_user_pages(2);
        assert!(pages != 0);
        // The page ends after the first letter, after the last, after the NUL, and elsewhere.
        for before in [1, 13, 25, 26, 27, 4000] {
            let at = pages + PAGE_SIZE - before;
            write_user(at, b"abcdefghijklmnopqrstuvwxyz\0")?;
            let mut buf = [0xaa; 64];
            assert!(UserStr::new(at).read(&mut buf)?.as_bytes() == b"abcdefghijklmnopqrstuvwxyz");
            // The buffer ends in the second page.
            assert!(UserStr::new(at).read(&mut buf[..20])?.as_bytes() == b"abcdefghijklmnopqrst");
        }
        // A string longer than a page.
        let mut text = KVec::from_elem(b'y', 2 * PAGE_SIZE, GFP_KERNEL)?;
        text[2 * PAGE_SIZE - 1] = 0;
        write_user(pages, &text)?;
        let mut buf = KVec::from_elem(0u8, 3 * PAGE_SIZE, GFP_KERNEL)?;
        let got = UserStr::new(pages).read(&mut buf)?;
        assert!(*got.as_bytes() == text[..2 * PAGE_SIZE - 1]);
        assert_eq!(UserStr::new(pages).length(usize::MAX)?, 2 * PAGE_SIZE - 1);
        let got = KernelStr::new(text.as_ptr() as usize).read(&mut buf)?;
        assert!(*got.as_bytes() == text[..2 * PAGE_SIZE - 1]);
        Ok(())
    }

    #[test]
    fn shown_strings_are_truncated_and_escaped() -> Result {
        let page = kut_user_pages(1);
        assert!(page != 0);
        let end = page + PAGE_SIZE;
        let shown = |at: usize| CString::try_from_fmt(fmt!("{}", UserStr::new(at).show::<8>()));
        for (text, wanted) in [
            (&b"1234567\0"[..], &b"1234567"[..]),
            (b"12345678\0", b"12345678"),
            (b"123456789\0", b"12345678..."),
            (b"\0", b""),
        ] {
            write_user(page, text)?;
            assert!(shown(page)?.to_bytes() == wanted);
        }
        // Whether the string continues in the unmapped page is unknown.
        write_user(end - 8, b"12345678")?;
        assert!(shown(end - 8)?.to_bytes() == b"12345678...");
        let kernel = |text: &CStr| {
            let text = KernelStr::new(text.as_char_ptr() as usize);
            CString::try_from_fmt(fmt!("{}", text.show::<12>()))
        };
        assert!(kernel(c"of the kernel")?.to_bytes() == b"of the kerne...");
        assert!(kernel(c"a\x1b[31mb\n")?.to_bytes() == b"a\\x1b[31mb\\n");
        assert!(shown(0)?.to_bytes() == b"(fault)");
        Ok(())
    }

    #[test]
    fn core_formats_as_the_kernel_does() -> Result {
        let text = |text: core::fmt::Arguments<'_>| CString::try_from_fmt(text);
        let string = KernelStr::new(c"a\nb".as_char_ptr() as usize);
        let seen = |cx: &kprobe::Context<'_>| (cx.comm(), cx.stack::<3>(), cx.address());
        let (comm, stack, at) = crate::contexts::at(DIV, seen, || kut_div(some()))?;
        let (pointer, place) = (KernelPtr::<u64>::new(at.as_usize()), at.location());
        let (shown, mut buf) = (string.show::<8>(), [0; 2]);
        let (cut, to) = (string.read(&mut buf)?, ([127, 0, 0, 1], 80));
        let to = ByCore(core::net::SocketAddr::from(to));
        macro_rules! same {
            ($($shown:expr),*) => {$(
                let (kernel, core) = (fmt!("{}", $shown), core::format_args!("{}", $shown));
                let (kernel, core) = (text(kernel)?, text(core)?);
                assert!(!kernel.to_bytes().is_empty() && kernel.to_bytes() == core.to_bytes());
            )*};
        }
        same!(shown, cut, comm, at, pointer);
        same!(place, place.symbol(), stack, to);
        assert!(text(fmt!("{to:>14}"))?.to_bytes() == b"  127.0.0.1:80");
        Ok(())
    }

    #[test]
    fn kernel_and_user_pointers_are_not_interchangeable() -> Result {
        let page = kut_user_pages(1);
        assert!(page != 0);
        let number = KBox::new(42u64, GFP_KERNEL)?;
        let addr = core::ptr::from_ref(&*number) as usize;
        assert!(KernelPtr::<u64>::new(addr).read()? == 42);
        assert!(UserPtr::<u64>::new(addr).read().err() == Some(EFAULT));
        write_user(page, &7u64.to_ne_bytes())?;
        assert!(UserPtr::<u64>::new(page).read()? == 7);
        assert!(KernelPtr::<u64>::new(page).read().err() == Some(EFAULT));
        Ok(())
    }

    #[test]
    fn pointers_to_elements_and_fields_are_read() -> Result {
        let numbers = KBox::new([1u32, 2, 3, 4], GFP_KERNEL)?;
        let first = KernelPtr::<u32>::new(numbers.as_ptr() as usize);
        assert_eq!(first.element(3).read()?, 4);
        assert_eq!(first.field::<u32>(4).read()?, 2);
        assert!(!first.is_null() && KernelPtr::<u8>::new(0).is_null());
        Ok(())
    }

    #[test]
    fn memory_of_the_vmalloc_area_is_read() -> Result {
        static OF_THE_MODULE: [u64; 2] = [42, 43];
        let number = KBox::new(42u64, GFP_KERNEL)?;
        let pages = VVec::from_elem(42u8, 3 * PAGE_SIZE, GFP_KERNEL)?;
        let on_the_stack = 42u64;
        let read = |at: *const u64| KernelPtr::<u64>::new(at as usize).read();
        assert_eq!(read(&*number)?, 42);
        assert_eq!(read(&on_the_stack)?, 42);
        assert_eq!(read(&OF_THE_MODULE[0])?, 42);
        // Across two pages, and beyond the last page.
        let start = pages.as_ptr() as usize;
        let across = KernelPtr::<[u8; 8]>::new(start + PAGE_SIZE - 4).read()?;
        assert_eq!(across, [42; 8]);
        let beyond = KernelPtr::<[u8; 8]>::new(start + 3 * PAGE_SIZE - 4).read();
        assert!(beyond.err() == Some(EFAULT));
        Ok(())
    }

    #[test]
    fn device_memory_is_not_read() -> Result {
        let read = with_device(|at| {
            let mut buf = [0; 8];
            let string = KernelStr::new(at).read(&mut buf).err();
            (KernelPtr::<u32>::new(at).read().err(), string)
        });
        let Some((number, string)) = read else {
            return skip(c"only x86-64 looks");
        };
        assert!(number == Some(EFAULT) && string == Some(EFAULT));
        let fixed = KernelPtr::<u32>::new(kut_fixed_device()).read();
        assert!(fixed.err() == Some(EFAULT));
        Ok(())
    }

    #[test]
    fn reads_of_invalid_addresses_fault() -> Result {
        let page = kut_user_pages(1);
        assert!(page != 0);
        write_user(page, b"from a program\0")?;
        // With preemption disabled.
        let read = |seen: &Seen, cx: &kprobe::Context<'_>| {
            let mut buf = [0; 16];
            match cx.arg0::<UserStr>().read(&mut buf) {
                Ok(text) if text.as_bytes() == b"from a program" => seen.pre.add(1),
                _ if faults(cx.arg0()) == 4 => seen.post.add(1),
                _ => {}
            }
        };
        let target = Target::symbol(c"kut_string");
        let probe = boxed(Kprobe::new(target, On(Seen::new(), read)))?;
        kut_string(page as *const u8);
        assert_eq!(probe.handler().0.hits(), (1, 0));
        for addr in NOWHERE {
            assert_eq!(faults(addr), 4);
            kut_string(addr as *const u8);
        }
        assert_eq!(probe.handler().0.hits(), (1, NOWHERE.len() as u64));
        Ok(())
    }
}
