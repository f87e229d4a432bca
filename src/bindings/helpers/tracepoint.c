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
	if (!tp->off)
		tracepoint_probe_unregister(tp->tracepoint, tp->hit, tp);
	tracepoint_synchronize_unregister();
}

int kprobes_arm_tracepoint(struct kprobes_registration *reg, bool on)
{
	struct kprobes_tracepoint *tp = container_of(reg, struct kprobes_tracepoint, reg);
	int ret;

	if (tp->off == !on)
		return 0;
	ret = on ? tracepoint_probe_register(tp->tracepoint, tp->hit, tp) :
		   tracepoint_probe_unregister(tp->tracepoint, tp->hit, tp);
	if (!ret)
		tp->off = !on;
	return ret;
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

int kprobes_arm_tracepoint(struct kprobes_registration *reg, bool on)
{
	return -EOPNOTSUPP;
}
#endif
