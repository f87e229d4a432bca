// SPDX-License-Identifier: GPL-2.0
/* The end of a watch for modules that go. */
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/printk.h>

#include "../helper.h"

void kprobes_leave_watch(struct kprobes_registration *reg, bool left)
{
	struct kprobes_watch *watch = container_of(reg, struct kprobes_watch, reg);

	if (left)
		pr_warn("%s: left registered: a watch for modules that go; unregistered now\n",
			THIS_MODULE->name);
	unregister_module_notifier(&watch->block);
}
