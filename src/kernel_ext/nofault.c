// SPDX-License-Identifier: GPL-2.0
/* Non-faulting reads of kernel memory. */
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/task_stack.h>
#include <linux/uaccess.h>
#ifdef CONFIG_X86_64
#include <asm/fixmap.h>
#endif

#include "../bindings/helper.h"

#ifdef CONFIG_X86_64
/*
 * Returns whether addr is in an area of device mappings: vmalloc (ioremap()) or the fixmap. The
 * stack of the current task, which is in the vmalloc area and often read, is excluded.
 */
static bool may_be_device(unsigned long addr)
{
	if (addr < VMALLOC_START || (addr > VMALLOC_END && addr < FIXADDR_TOT_START))
		return false;
	return addr - (unsigned long)task_stack_page(current) >= THREAD_SIZE;
}

/* Returns whether the page at addr is present and write-back cached, which means no cache bits. */
static bool is_memory(unsigned long addr)
{
	unsigned int level;
	pte_t *entry = lookup_address(addr, &level), pte;

	if (!entry)
		return false;
	pte = READ_ONCE(*entry);
	return pte_flags(pte) & _PAGE_PRESENT && !(pte_val(pte) & (level == PG_LEVEL_4K ?
						     _PAGE_CACHE_MASK : _PAGE_LARGE_CACHE_MASK));
}

/* noinline, so that the fast path saves no CPU registers. */
static noinline int read_checked(void *to, unsigned long from, size_t len)
{
	unsigned long page, flags;
	int err = 0;

	if (from + len < from)
		return -EFAULT;
	/*
	 * The kernel reuses an address after a TLB flush on all CPUs, which waits for this one
	 * while interrupts are disabled. (With INVLPGB, it does not wait.) The read must not fault:
	 * afterwards, lockdep would believe that interrupts are still disabled.
	 */
	raw_local_irq_save(flags);
	for (page = from & PAGE_MASK; !err && page < from + len; page += PAGE_SIZE)
		if (!is_memory(page))
			err = -EFAULT;
	if (!err)
		err = copy_from_kernel_nofault(to, (void *)from, len);
	raw_local_irq_restore(flags);
	return err;
}

long kprobes_read_kernel(void *to, const void *from, size_t len)
{
	if (unlikely(may_be_device((unsigned long)from)))
		return read_checked(to, (unsigned long)from, len);
	return copy_from_kernel_nofault(to, from, len);
}
#else
/*
 * On arm64, bit 55 of an address selects the user's or the kernel's translation table.
 * copy_from_kernel_nofault() does not check this bit, so that without PAN (before ARMv8.1) it would
 * read user memory.
 */
long kprobes_read_kernel(void *to, const void *from, size_t len)
{
	if (IS_ENABLED(CONFIG_ARM64) && !((unsigned long)from & BIT(55)))
		return -EFAULT;
	return copy_from_kernel_nofault(to, from, len);
}
#endif
