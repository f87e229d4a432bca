// SPDX-License-Identifier: GPL-2.0
/* Which functions can have a kretprobe, and unregistering kretprobes. */
#include <linux/errno.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>

#include "../helper.h"

#ifdef CONFIG_DYNAMIC_FTRACE
/* Never registered, and its filter stays empty. */
static struct ftrace_ops asked;

/*
 * Returns 0 if addr is the entry of a function that ftrace knows. Modules can ask
 * only through the filter of an ftrace_ops: removing addr from an empty filter
 * fails with ENOENT for such a function, and with EINVAL otherwise.
 */
int kprobes_function_entry(void *addr)
{
	int errno = ftrace_set_filter_ip(&asked, (unsigned long)addr, 1, 1);

	return errno == -ENOENT ? 0 : errno;
}

/*
 * Whether ftrace has forgotten the function whose call was at addr. It looks without
 * the lock that it has when it removes some and moves the others up, so one of those may
 * seem to be missing: it is asked again behind that lock, which setting the filter to
 * nothing takes.
 */
bool kprobes_function_missing(unsigned long addr)
{
	if (kprobes_function_entry((void *)addr) != -EINVAL)
		return false;
	ftrace_set_filter(&asked, NULL, 0, 1);
	return kprobes_function_entry((void *)addr) == -EINVAL;
}
#else
/* Without ftrace, this is not known. */
int kprobes_function_entry(void *addr)
{
	return -EOPNOTSUPP;
}

bool kprobes_function_missing(unsigned long addr)
{
	return false;
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
