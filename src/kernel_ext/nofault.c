// SPDX-License-Identifier: GPL-2.0
/* Reads of kernel addresses that may be wrong. */
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
 * Whether a device may be mapped at that address: by ioremap() or in the fixmap. The stack of the
 * current task is where ioremap() maps, too, and often read.
 */
static bool may_be_device(unsigned long addr)
{
	if (addr < VMALLOC_START || (addr > VMALLOC_END && addr < FIXADDR_TOT_START))
		return false;
	return addr - (unsigned long)task_stack_page(current) >= THREAD_SIZE;
}

/*
 * Whether that page is mapped as write-back cached memory, which has no cache bits. It can be read
 * without a fault then.
 */
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

/* Not inlined, so that other reads need not save CPU registers. */
static noinline int read_checked(void *to, unsigned long from, size_t len)
{
	unsigned long page, flags;
	int err = 0;

	if (from + len < from)
		return -EFAULT;
	/*
	 * An address is used again only after all CPUs have flushed it from their TLBs, for which
	 * they are interrupted. (Those that can flush the others' are not.) There must be no fault
	 * meanwhile: lockdep would take interrupts for disabled when they are enabled again.
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
 * On arm64, bit 55 selects the translation table. copy_from_kernel_nofault() does not check that,
 * and without PAN (before ARMv8.1) the kernel could read user memory through it.
 */
long kprobes_read_kernel(void *to, const void *from, size_t len)
{
	if (IS_ENABLED(CONFIG_ARM64) && !((unsigned long)from & BIT(55)))
		return -EFAULT;
	return copy_from_kernel_nofault(to, from, len);
}
#endif
