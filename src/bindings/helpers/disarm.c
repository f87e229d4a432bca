// SPDX-License-Identifier: GPL-2.0
#include <linux/kprobes.h>
#include <linux/printk.h>
#include <linux/sched.h>

#include "../helper.h"

/*
 * Disables a registered probe, so that unregistering it cannot fail.
 *
 * If the kernel cannot disarm the probe, it keeps using the struct, whose memory the
 * caller would free. So this logs that and blocks forever. It does not try again: each
 * attempt of the kernel's decrements its count of armed probes.
 */
void kprobes_disarm(struct kprobe *kp)
{
	int errno = disable_kprobe(kp);

	if (!errno)
		return;
	pr_emerg("kprobes: cannot disarm %pS (errno %d): the probe stays registered and %s (pid %d) blocks until the next boot\n",
		 kp->addr, -errno, current->comm, task_pid_nr(current));
	kprobes_block_forever();
}
