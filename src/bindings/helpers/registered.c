// SPDX-License-Identifier: GPL-2.0
/* The list of the module's registrations, and what unregisters the rest at its end. */
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

/* Returns true in a handler or in atomic context. */
bool kprobes_must_not_wait(void)
{
#ifdef CONFIG_TRACING
	/* Handlers of tracepoints may be preempted; the others run with preemption off. */
	if (current->trace_recursion & (0xfUL << KPROBES_IN_TRACEPOINT_BIT |
					0xfUL << KPROBES_IN_ENTRY_BIT))
		return true;
#endif
	return in_atomic() || irqs_disabled() || rcu_preempt_depth();
}

/*
 * Returns true for an object on the current task's stack. If the task ends in a
 * BUG(), the stack is freed without a drop.
 */
bool kprobes_on_stack(const void *object)
{
	return object_is_on_stack(object);
}

/*
 * Never returns, where the kernel keeps using what the caller would free. TASK_IDLE
 * keeps the hung task detector quiet, which may be configured to panic, and
 * TASK_FREEZABLE lets the machine suspend.
 */
void kprobes_block_forever(void)
{
	for (;;) {
		set_current_state(TASK_IDLE | TASK_FREEZABLE);
		schedule();
	}
}

/*
 * Unregisters. The caller frees the memory when this function returns. In a context
 * in which it cannot wait for the handlers, it does not return: the registration
 * stays registered and on the list.
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

/* Returns the next registration to unregister, NULL if the list is empty. */
static struct kprobes_registration *next_left(void)
{
	struct kprobes_registration *reg;

	list_for_each_entry(reg, &registered, list)
		if (reg->first)
			return reg;
	return list_first_entry_or_null(&registered, struct kprobes_registration, list);
}

/*
 * Unregisters what is still registered after the module's exit or its failed init.
 * By then only handlers of watches use the list: they may create and drop probes
 * until the watches are unregistered.
 *
 * An empty list stays empty, because watches are on the list, too. It is left without
 * taking the lock: the module is UNFORMED, its addresses are no module's for the
 * kernel, and lockdep turns itself off at a static lock that it meets for the first
 * time there. If something is on the list, kprobes_enter() has taken the lock before.
 */
void kprobes_leave_all(void)
{
	struct kprobes_registration *reg;

	if (list_empty(&registered))
		return;
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
	 * For a symbol of this module, or of one that was unloaded, the kernel prints
	 * the raw address, which must not get into the log.
	 */
	if (name[0] == '0')
		scnprintf(name, sizeof(name), "%p", place);
	pr_warn("%s: left registered: %d at %s; unregistered now\n",
		THIS_MODULE->name, n, name);
}

/*
 * The kernel frees a module's parameters after the module's exit or its failed init,
 * before it frees the module's code and data.
 */
static void free_param(void *arg)
{
	kprobes_leave_all();
}

static const struct kernel_param_ops registered_ops = {
	.free = free_param,
};

/*
 * No argument of insmod can set this parameter: a parameter's name ends at the
 * first "=", unless that is its first character.
 */
static const struct kernel_param registered_param
	__used __section("__param") __aligned(__alignof__(struct kernel_param)) = {
	.name = "left=",
	.mod = THIS_MODULE,
	.ops = &registered_ops,
	.level = -1,
};
