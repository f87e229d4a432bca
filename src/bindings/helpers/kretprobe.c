// SPDX-License-Identifier: GPL-2.0
/* Which functions can have a kretprobe, and unregistering kretprobes. */
#include <linux/errno.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>

#include "../helper.h"

#ifdef CONFIG_DYNAMIC_FTRACE
/*
 * Returns 0 if addr is the entry of a function that ftrace knows. Modules can ask
 * only through the filter of an ftrace_ops: removing addr from an empty filter
 * fails with ENOENT for such a function, and with EINVAL otherwise. The ops is
 * never registered, and its filter stays empty.
 */
int kprobes_function_entry(void *addr)
{
	static struct ftrace_ops asked;
	int errno = ftrace_set_filter_ip(&asked, (unsigned long)addr, 1, 1);

	return errno == -ENOENT ? 0 : errno;
}
#else
/* Without ftrace, this is not known. */
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
