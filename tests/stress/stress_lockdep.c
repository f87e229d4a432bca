// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests must see of lockdep: two locks that are taken in both orders
 * (how=order), a lock that was not initialised (how=key), and a lockdep that is off
 * without a line in the log (how=off).
 */
#include <linux/debug_locks.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *how = "";
module_param(how, charp, 0);
MODULE_PARM_DESC(how, "order, key or off");

static DEFINE_MUTEX(one);
static DEFINE_MUTEX(other);

static void take(struct mutex *first, struct mutex *second)
{
	mutex_lock(first);
	mutex_lock(second);
	mutex_unlock(second);
	mutex_unlock(first);
}

static int __init mistake_init(void)
{
	if (!strcmp(how, "order")) {
		take(&one, &other);
		take(&other, &one);
	} else if (!strcmp(how, "key")) {
		spinlock_t lock = {};

		spin_lock(&lock);
		spin_unlock(&lock);
	} else if (!strcmp(how, "off")) {
		debug_locks = 0;
	} else {
		return -EINVAL;
	}
	return 0;
}
module_init(mistake_init);

static void __exit mistake_exit(void)
{
}
module_exit(mistake_exit);

MODULE_DESCRIPTION("What the tests must see of lockdep");
MODULE_AUTHOR("The rust_kprobe authors");
MODULE_LICENSE("GPL");
