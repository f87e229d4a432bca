// SPDX-License-Identifier: GPL-2.0
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/printk.h>

#include "../helper.h"

/*
 * Disables a registered probe, so that unregistering it cannot fail. If the
 * kernel cannot disarm it, logs that and never returns, because the caller must
 * not free what the kernel still uses.
 */
void kprobes_disarm(struct kprobe *kp)
{
	int errno = disable_kprobe(kp);

	if (!errno)
		return;
	pr_emerg("kprobes: cannot disarm %pS (errno %d): blocking forever\n",
		 kp->addr, -errno);
	for (;;)
		msleep(1000 * 1000);
}
