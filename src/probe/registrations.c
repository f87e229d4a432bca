// SPDX-License-Identifier: GPL-2.0
/* The list of the module's registrations, and what unregisters the rest at its end. */
#include <linux/bug.h>
#include <linux/errno.h>
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

#include "../bindings/probe.h"
#include "../bindings/task.h"

static LIST_HEAD(registered);
static DEFINE_MUTEX(lock);

void kprobes_add_registration(struct kprobes_registration *reg,
			       void (*unregister)(struct kprobes_registration *reg),
			       void *probes, unsigned int count, const void *place,
			       bool place_is_name)
{
	*reg = (struct kprobes_registration){
		.unregister = unregister,
		.place = place,
		.place_is_name = place_is_name,
		.probes = probes,
		.count = count,
	};
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
 * Returns 0 if object may hold a registration and the caller may sleep. If the current task ends in
 * a BUG(), its stack is freed without a drop.
 */
int kprobes_may_register(const void *object)
{
	if (kprobes_must_not_wait())
		return -EDEADLK;
	return object_is_on_stack(object) ? -EINVAL : 0;
}

/*
 * Never returns, where the kernel keeps using what the caller would free. TASK_IDLE keeps the hung
 * task detector quiet, which may be configured to panic, and TASK_FREEZABLE lets the machine
 * suspend.
 */
void kprobes_block_forever(void)
{
	for (;;) {
		set_current_state(TASK_IDLE | TASK_FREEZABLE);
		schedule();
	}
}

/*
 * Unregisters. The caller frees the memory when this function returns. In a context in which it
 * cannot wait for the handlers, it does not return: the registration stays registered and on the
 * list.
 */
void kprobes_remove_registration(struct kprobes_registration *reg)
{
	if (unlikely(kprobes_must_not_wait())) {
		pr_emerg("%s: probe dropped in atomic context\n", THIS_MODULE->name);
		BUG();
	}
	mutex_lock(&lock);
	list_del(&reg->list);
	mutex_unlock(&lock);
	reg->unregister(reg);
}

/* Returns the next registration to unregister, NULL if the list is empty. */
static struct kprobes_registration *__kprobes next_left(void)
{
	struct kprobes_registration *reg;

	list_for_each_entry(reg, &registered, list)
		if (reg->first)
			return reg;
	return list_first_entry_or_null(&registered, struct kprobes_registration, list);
}

/*
 * What runs at the module's end refuses kprobes. By then, kill_kprobe() has removed the code by
 * which the kernel returns from a kprobe in this module, but not the breakpoint.
 */

/* Reports what was not dropped. What has no place is the library's own. */
static void __kprobes report(const struct kprobes_registration *reg)
{
	char symbol[KSYM_SYMBOL_LEN];
	const char *name = reg->place;

	if (!reg->place)
		return;
	if (!reg->place_is_name) {
		sprint_symbol(symbol, (unsigned long)reg->place);
		/*
		 * For a symbol of this module, or of one that was unloaded, the kernel prints
		 * the raw address, which must not get into the log.
		 */
		if (symbol[0] == '0')
			scnprintf(symbol, sizeof(symbol), "%p", reg->place);
		name = symbol;
	}
	pr_warn("%s: left registered: %d at %s; unregistered now\n",
		THIS_MODULE->name, reg->count ?: 1, name);
}

/*
 * Unregisters what is still registered after the module's exit or its failed init. By then only
 * handlers of watches use the list: they may create and drop probes until the watches are
 * unregistered.
 *
 * An empty list stays empty, because watches are on the list, too. So return without taking the
 * lock: the module is UNFORMED, its addresses belong to no module, and lockdep disables itself at
 * the first use of a static lock there. If the list has an entry, kprobes_add_registration() has
 * taken the lock before.
 */
static void __kprobes unregister_all(void)
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
		report(reg);
		reg->unregister(reg);
	}
}

/*
 * The kernel frees a module's parameters after the module's exit or its failed init, before it
 * frees the module's code and data.
 */
static void __kprobes free_param(void *arg)
{
	unregister_all();
}

static const struct kernel_param_ops registered_ops = {
	.free = free_param,
};

/*
 * No argument of insmod can set this parameter: a parameter's name ends at the first "=", unless
 * that is its first character.
 */
static const struct kernel_param registered_param
	__used __section("__param") __aligned(__alignof__(struct kernel_param)) = {
	.name = "left=",
	.mod = THIS_MODULE,
	.ops = &registered_ops,
	.level = -1,
};
