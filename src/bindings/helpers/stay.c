// SPDX-License-Identifier: GPL-2.0
#include <linux/delay.h>
#include <linux/printk.h>

#include "../helper.h"

/*
 * Says that a probe cannot be disarmed, and never returns: what the kernel goes
 * on using must not be freed. Not marked as noreturn, which objtool would have
 * to know of.
 */
void kprobes_stay(const void *address, int errno)
{
	pr_emerg("kprobes: the kernel does not disarm the probe at %pS (errno %d); whoever drops it waits for ever\n",
		 address, -errno);
	for (;;)
		msleep(1000 * 1000);
}
