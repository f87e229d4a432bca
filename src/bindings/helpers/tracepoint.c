// SPDX-License-Identifier: GPL-2.0
/* A tracepoint's handler: its registration and its end. */
#include <linux/errno.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/tracepoint.h>

#include "../helper.h"

#ifdef CONFIG_TRACING
int kprobes_tracepoint_register(struct kprobes_tracepoint *tp)
{
	return tracepoint_probe_register(tp->tracepoint, tp->hit, tp);
}

void kprobes_leave_tracepoint(struct kprobes_registration *reg, bool left)
{
	struct kprobes_tracepoint *tp = container_of(reg, struct kprobes_tracepoint, reg);

	if (left)
		pr_warn("%s: left registered: a handler at the tracepoint %s; unregistered now\n",
			THIS_MODULE->name, tp->tracepoint->name);
	tracepoint_probe_unregister(tp->tracepoint, tp->hit, tp);
	tracepoint_synchronize_unregister();
}
#else
/* The task has no room to remember. */
int kprobes_tracepoint_register(struct kprobes_tracepoint *tp)
{
	return -EOPNOTSUPP;
}

void kprobes_leave_tracepoint(struct kprobes_registration *reg, bool left)
{
}
#endif
