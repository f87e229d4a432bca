// SPDX-License-Identifier: GPL-2.0
/* A tracepoint's handler: its registration, its calls and its end. */
#include <linux/errno.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

#include "../helper.h"

#ifdef CONFIG_TRACING
/*
 * The kernel calls a tracepoint's handler wherever the tracepoint is passed,
 * within handlers too. So it is not called where one runs already, of this or
 * another module, in the same context of the same task: a hit in an interrupt of
 * a handler is none within it.
 *
 * The handler may be preempted, so its task has to remember, as it does for
 * ftrace. Preemption need not be off: the word is its task's only.
 */
static notrace void call(struct kprobes_tracepoint *tp, unsigned long a, unsigned long b,
			 unsigned long c, unsigned long d, unsigned long e)
{
	unsigned long bit = KPROBES_IN_TRACEPOINT << interrupt_context_level();

	if (unlikely(current->trace_recursion & bit)) {
		atomic_long_inc(&tp->missed);
		return;
	}
	current->trace_recursion |= bit;
	barrier();
	tp->hit(tp, a, b, c, d, e);
	barrier();
	current->trace_recursion &= ~bit;
}

int kprobes_tracepoint_register(struct kprobes_tracepoint *tp)
{
	return tracepoint_probe_register(tp->tracepoint, call, tp);
}

void kprobes_leave_tracepoint(struct kprobes_registration *reg, bool left)
{
	struct kprobes_tracepoint *tp = container_of(reg, struct kprobes_tracepoint, reg);

	if (left)
		pr_warn("%s: left registered: a handler at the tracepoint %s; unregistered now\n",
			THIS_MODULE->name, tp->tracepoint->name);
	tracepoint_probe_unregister(tp->tracepoint, call, tp);
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
