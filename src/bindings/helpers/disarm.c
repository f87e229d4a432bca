// SPDX-License-Identifier: GPL-2.0
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/printk.h>

#include "../helper.h"

/*
 * Disables a registered probe, so that nothing is left that could fail when it
 * is unregistered. Where the kernel cannot disarm it, says so and never returns:
 * what the kernel goes on using must not be freed.
 */
void kprobes_disarm(struct kprobe *kp)
{
	int errno = disable_kprobe(kp);

	if (!errno)
		return;
	pr_emerg("kprobes: cannot disarm %pS (errno %d): waiting for ever\n",
		 kp->addr, -errno);
	for (;;)
		msleep(1000 * 1000);
}
