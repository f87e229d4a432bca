// SPDX-License-Identifier: GPL-2.0
/* What the module has registered, and what of it is left at the module's end. */
#include <linux/bug.h>
#include <linux/kallsyms.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>

#include "../helper.h"

static LIST_HEAD(registered);
static DEFINE_MUTEX(lock);

void kprobes_enter(struct kprobes_registration *reg)
{
	mutex_lock(&lock);
	list_add(&reg->list, &registered);
	mutex_unlock(&lock);
}

/* Whether a handler of the library's may run below us, or one must not sleep. */
bool kprobes_must_not_wait(void)
{
#ifdef CONFIG_TRACING
	/* Those of tracepoints may be preempted; the others run with preemption off. */
	if (current->trace_recursion & (0xfUL << KPROBES_IN_TRACEPOINT_BIT |
					0xfUL << KPROBES_IN_ENTRY_BIT))
		return true;
#endif
	return in_atomic() || irqs_disabled() || rcu_preempt_depth();
}

/*
 * Whether that lies on the current task's stack, which is freed without a drop
 * where the task ends in a BUG().
 */
bool kprobes_on_stack(const void *object)
{
	return object_is_on_stack(object);
}

/*
 * Unregisters. The caller frees the memory when this returns, so it does not
 * return where it could not wait for the handlers. The probe is then still
 * registered, and on the list.
 */
void kprobes_leave(struct kprobes_registration *reg)
{
	if (unlikely(kprobes_must_not_wait())) {
		pr_emerg("%s: a probe is dropped in a handler, under a lock or where else one must not sleep; stopped before it is freed\n",
			 THIS_MODULE->name);
		BUG();
	}
	mutex_lock(&lock);
	list_del(&reg->list);
	mutex_unlock(&lock);
	reg->leave(reg, false);
}

/* Which is left next, NULL where there is none. */
static struct kprobes_registration *next_left(void)
{
	struct kprobes_registration *reg;

	list_for_each_entry(reg, &registered, list)
		if (reg->first)
			return reg;
	return list_first_entry_or_null(&registered, struct kprobes_registration, list);
}

/*
 * What is left when the module has left, or its init has failed. By then nobody
 * else uses the list, except the handlers of watches, which may make and drop
 * probes until they are unregistered.
 */
void kprobes_leave_all(void)
{
	struct kprobes_registration *reg;

	for (;;) {
		mutex_lock(&lock);
		reg = next_left();
		if (reg)
			list_del(&reg->list);
		mutex_unlock(&lock);
		if (!reg)
			return;
		reg->leave(reg, true);
	}
}

void kprobes_tell_left(const void *place, int n)
{
	char name[KSYM_SYMBOL_LEN];

	sprint_symbol(name, (unsigned long)place);
	/*
	 * The kernel has forgotten this module's own symbols, and those of one that
	 * has left: it gives the address then, which is not for the log.
	 */
	if (name[0] == '0')
		scnprintf(name, sizeof(name), "%p", place);
	pr_warn("%s: left registered: %d at %s; unregistered now\n",
		THIS_MODULE->name, n, name);
}

/*
 * The kernel frees a module's parameters at that moment: when no code of the
 * module's is to run any more, and before its code and data are freed.
 */
static void free_param(void *arg)
{
	kprobes_leave_all();
}

static const struct kernel_param_ops registered_ops = {
	.free = free_param,
};

/*
 * Nobody can set it: a parameter's name ends at the first "=", unless that is its
 * first character.
 */
static const struct kernel_param registered_param
	__used __section("__param") __aligned(__alignof__(struct kernel_param)) = {
	.name = "left=",
	.mod = THIS_MODULE,
	.ops = &registered_ops,
	.level = -1,
};
