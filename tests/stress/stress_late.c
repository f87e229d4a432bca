// SPDX-License-Identifier: GPL-2.0
/*
 * Holds stress_victim until N is written to `held`: while it is unloaded, when all other
 * notifiers have been called and ftrace still knows its functions; or, with coming=1,
 * while it is loaded, when no notifier has been called yet that is registered later.
 */
#include <linux/delay.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/string.h>

static bool held;
module_param(held, bool, 0600);
MODULE_PARM_DESC(held, "whether stress_victim is held");

static bool coming;
module_param(coming, bool, 0400);
MODULE_PARM_DESC(coming, "hold it while it is loaded");

static int hold(struct notifier_block *block, unsigned long event, void *data)
{
	const struct module *mod = data;
	int ms = 30 * 1000;

	if (event != (coming ? MODULE_STATE_COMING : MODULE_STATE_GOING) ||
	    strcmp(mod->name, "stress_victim"))
		return NOTIFY_DONE;
	WRITE_ONCE(held, true);
	while (READ_ONCE(held) && ms--)
		msleep(1);
	return NOTIFY_DONE;
}

static struct notifier_block block = {
	.notifier_call = hold,
};

static int __init late_init(void)
{
	block.priority = coming ? INT_MAX : INT_MIN;
	return register_module_notifier(&block);
}
module_init(late_init);

static void __exit late_exit(void)
{
	unregister_module_notifier(&block);
}
module_exit(late_exit);

MODULE_DESCRIPTION("Holds a module while others attach to its functions");
MODULE_AUTHOR("The rust_kprobe authors");
MODULE_LICENSE("GPL");
