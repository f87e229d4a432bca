// SPDX-License-Identifier: GPL-2.0
/*
 * Holds stress_victim until N is written to `held`: during its unload, after all other notifiers,
 * while ftrace still knows its functions; or, with coming=1, during its load, before all notifiers
 * that are registered later. With offline=1, holds a CPU that goes offline.
 */
#include <linux/cpuhotplug.h>
#include <linux/delay.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/string.h>

static bool held;
module_param(held, bool, 0600);

static bool coming;
module_param(coming, bool, 0400);

static bool offline;
module_param(offline, bool, 0400);

static void hold(void)
{
	int ms = 30 * 1000;

	WRITE_ONCE(held, true);
	while (READ_ONCE(held) && ms--)
		msleep(1);
}

static int hold_module(struct notifier_block *block, unsigned long event, void *data)
{
	const struct module *mod = data;

	if (event != (coming ? MODULE_STATE_COMING : MODULE_STATE_GOING) ||
	    strcmp(mod->name, "stress_victim"))
		return NOTIFY_DONE;
	hold();
	return NOTIFY_DONE;
}

static int hold_cpu(unsigned int cpu)
{
	hold();
	return 0;
}

static struct notifier_block block = {
	.notifier_call = hold_module,
};

static int state;

static int __init late_init(void)
{
	if (offline) {
		state = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "stress_late", NULL,
						  hold_cpu);
		return state < 0 ? state : 0;
	}
	block.priority = coming ? INT_MAX : INT_MIN;
	return register_module_notifier(&block);
}
module_init(late_init);

static void __exit late_exit(void)
{
	if (offline)
		cpuhp_remove_state_nocalls(state);
	else
		unregister_module_notifier(&block);
}
module_exit(late_exit);

MODULE_DESCRIPTION("Holds a module that is loaded or unloaded, or a CPU");
MODULE_LICENSE("GPL");
