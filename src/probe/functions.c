// SPDX-License-Identifier: GPL-2.0
/* Looks up whether ftrace knows a function. */
#include <linux/errno.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/mutex.h>

#include "../bindings/probe.h"

#ifdef CONFIG_DYNAMIC_FTRACE
/* Never registered, and its filter stays empty. */
static struct ftrace_ops lookup_ops;
/*
 * The first call initialises the ops, and the mutex in it. Linux 7.3.4 holds a lock meanwhile. In a
 * kernel without this lock, a concurrent call could initialise the mutex while it is held.
 */
static DEFINE_MUTEX(lookup_lock);

/*
 * Returns 0 if addr is the entry of a function that ftrace knows. Modules can look this up only by
 * the filter of an ftrace_ops: removing addr from an empty filter fails with ENOENT for such a
 * function, and with EINVAL otherwise.
 */
int __kprobes kprobes_function_entry(void *addr)
{
	int errno;

	mutex_lock(&lookup_lock);
	errno = ftrace_set_filter_ip(&lookup_ops, (unsigned long)addr, 1, 1);
	mutex_unlock(&lookup_lock);
	return errno == -ENOENT ? 0 : errno;
}

/*
 * Returns whether ftrace has removed the function whose ftrace call is at addr. ftrace removes and
 * moves functions under a lock, but searches without it, so it may miss a moved function. Clearing
 * the filter takes the lock and thereby waits, so that the second search is reliable.
 */
bool __kprobes kprobes_function_missing(unsigned long addr)
{
	if (kprobes_function_entry((void *)addr) != -EINVAL)
		return false;
	mutex_lock(&lookup_lock);
	ftrace_set_filter(&lookup_ops, NULL, 0, 1);
	mutex_unlock(&lookup_lock);
	return kprobes_function_entry((void *)addr) == -EINVAL;
}
#else
int kprobes_function_entry(void *addr)
{
	return -EOPNOTSUPP;
}

bool kprobes_function_missing(unsigned long addr)
{
	return false;
}
#endif
