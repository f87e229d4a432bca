// SPDX-License-Identifier: GPL-2.0
/*
 * Makes ftrace disable itself: overwrites its call in a function of another
 * module, which it finds the next time that it is to write there. The function
 * must not be called any more.
 */
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

static char symbol[KSYM_NAME_LEN];
module_param_string(symbol, symbol, sizeof(symbol), 0);
MODULE_PARM_DESC(symbol, "MODULE:FUNCTION");

static int __init breaker_init(void)
{
	struct kprobe probe = { .symbol_name = symbol, .flags = KPROBE_FLAG_DISABLED };
	struct page *page;
	void *alias;
	int errno;

	/* Only to find the function. */
	errno = register_kprobe(&probe);
	if (errno)
		return errno;
	unregister_kprobe(&probe);
	/* Its own mapping is read-only. */
	page = vmalloc_to_page(probe.addr);
	alias = page ? vmap(&page, 1, VM_MAP, PAGE_KERNEL) : NULL;
	if (!alias)
		return -ENOMEM;
	memset(alias + offset_in_page(probe.addr), 0x90, 5);
	vunmap(alias);
	return 0;
}
module_init(breaker_init);

static void __exit breaker_exit(void)
{
}
module_exit(breaker_exit);

MODULE_DESCRIPTION("Makes ftrace disable itself");
MODULE_AUTHOR("The rust_kprobe authors");
MODULE_LICENSE("GPL");
