// SPDX-License-Identifier: GPL-2.0
/* Where kretprobes may go, and their end. */
#include <linux/errno.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>

#include "../helper.h"

#ifdef CONFIG_DYNAMIC_FTRACE
/*
 * Whether the symbol at addr is a function, as ftrace knows it. Only an ops'
 * filter can be asked: taking addr off an empty one fails with ENOENT where it
 * could be on it, and with EINVAL where it could not. So nothing is ever kept in
 * the filter of this ops, which is never registered.
 */
int kprobes_function_entry(void *addr)
{
	static struct ftrace_ops asked;
	int errno = ftrace_set_filter_ip(&asked, (unsigned long)addr, 1, 1);

	return errno == -ENOENT ? 0 : errno;
}
#else
/* Nobody knows. */
int kprobes_function_entry(void *addr)
{
	return -EOPNOTSUPP;
}
#endif

void kprobes_leave_kretprobes(struct kprobes_registration *reg, bool left)
{
	struct kprobes_held *held = container_of(reg, struct kprobes_held, reg);
	struct kretprobe **rps = held->count ? held->probes : (struct kretprobe **)&held->probes;
	int i, n = held->count ?: 1;

	if (left)
		kprobes_tell_left(rps[0]->kp.addr, n);
	for (i = 0; i < n; i++)
		kprobes_disarm(&rps[i]->kp);
	unregister_kretprobes(rps, n);
}
