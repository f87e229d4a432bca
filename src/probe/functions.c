// SPDX-License-Identifier: GPL-2.0
/* Which addresses are functions for ftrace. */
#include <linux/errno.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/mutex.h>

#include "../bindings/probe.h"

#ifdef CONFIG_DYNAMIC_FTRACE
/* Never registered, and its filter stays empty. */
static struct ftrace_ops asked;
/*
 * The first call makes ftrace initialise the ops, and the mutex in it. Linux 7.3.4 does that under
 * a lock of its own. In a kernel without that lock, two tasks could do it at once, one of them
 * while the other one holds the mutex.
 */
static DEFINE_MUTEX(asking);

/*
 * Returns 0 if addr is the entry of a function that ftrace knows. Modules can ask only through the
 * filter of an ftrace_ops: removing addr from an empty filter fails with ENOENT for such a
 * function, and with EINVAL otherwise.
 */
int __kprobes kprobes_function_entry(void *addr)
{
	int errno;

	mutex_lock(&asking);
	errno = ftrace_set_filter_ip(&asked, (unsigned long)addr, 1, 1);
	mutex_unlock(&asking);
	return errno == -ENOENT ? 0 : errno;
}

/*
 * Returns whether ftrace no longer knows a function whose call is at addr. ftrace removes functions
 * and moves others up under a lock. It searches without that lock, so it may miss a moved function.
 * Clearing the filter takes the lock, so the second answer is right.
 */
bool __kprobes kprobes_function_missing(unsigned long addr)
{
	if (kprobes_function_entry((void *)addr) != -EINVAL)
		return false;
	mutex_lock(&asking);
	ftrace_set_filter(&asked, NULL, 0, 1);
	mutex_unlock(&asking);
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
