// SPDX-License-Identifier: GPL-2.0
/* The list of the module's registrations, and what unregisters the rest at its end. */
#include <linux/bug.h>
#include <linux/completion.h>
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

LIST_HEAD(kprobes_registered);
DEFINE_MUTEX(kprobes_registered_lock);

void kprobes_add_registration(struct kprobes_registration *reg)
{
	mutex_lock(&kprobes_registered_lock);
	list_add(&reg->list, &kprobes_registered);
	mutex_unlock(&kprobes_registered_lock);
}

/* Returns true in a handler or in atomic context. */
bool __kprobes kprobes_must_not_wait(void)
{
	u32 why = preempt_count() | irqs_disabled() | rcu_preempt_depth();

#ifdef CONFIG_TRACING
	/* Handlers of tracepoints may be preempted; the others run with preemption off. */
	why |= current->trace_recursion & (0xfU << KPROBES_IN_TRACEPOINT_BIT |
					   0xfU << KPROBES_IN_ENTRY_BIT);
#endif
	return why;
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
void __kprobes kprobes_block_forever(void)
{
	static DECLARE_COMPLETION(never);

	wait_for_completion_state(&never, TASK_IDLE | TASK_FREEZABLE);
}

/*
 * What runs at the module's end refuses kprobes. By then, kill_kprobe() has removed the code by
 * which the kernel returns from a kprobe in this module, but not the breakpoint.
 */

/*
 * Unregisters. The caller frees the memory when this function returns. In a context in which it
 * cannot wait for the handlers, it does not return: the registration stays registered and on the
 * list.
 */
void __kprobes kprobes_remove_registration(struct kprobes_registration *reg)
{
	if (unlikely(kprobes_must_not_wait())) {
		pr_emerg("%s: probe dropped in atomic context\n", THIS_MODULE->name);
		BUG();
	}
	mutex_lock(&kprobes_registered_lock);
	__list_del_entry(&reg->list);
	mutex_unlock(&kprobes_registered_lock);
	reg->unregister(reg->probes, reg->count);
}

/*
 * Unregisters and reports what is still registered after the module's exit or its failed init. By
 * then only handlers of watches use the list: they may create and drop probes until the watches are
 * unregistered. So those are first. They are at the end of the list, which handlers do not change.
 *
 * An empty list stays empty, because watches are on the list, too. So nothing takes the lock then:
 * the module is UNFORMED, its addresses belong to no module, and lockdep disables itself at the
 * first use of a static lock there. If the list has an entry, the lock has been taken before.
 */
static void __kprobes unregister_all(void *arg)
{
	struct kprobes_registration *reg, *last;
	char symbol[KSYM_SYMBOL_LEN];
	const char *name;

	while ((reg = list_first_entry_or_null(&kprobes_registered, typeof(*reg), list))) {
		last = list_last_entry(&kprobes_registered, typeof(*reg), list);
		if (last->single == last)
			reg = last;
		name = reg->name;
		if (reg->address) {
			name = symbol;
			sprint_symbol(symbol, reg->address);
			/*
			 * For a symbol of this module, or of one that was unloaded, the kernel
			 * prints the raw address, which must not get into the log.
			 */
			if (symbol[0] == '0')
				scnprintf(symbol, sizeof(symbol), "%p", (void *)reg->address);
		}
		/* What has neither is the library's own. */
		if (name)
			pr_warn("%s: %s%d probe%s at %s was never dropped; unregistering it\n",
				THIS_MODULE->name, reg->count > 1 ? "set of " : "", reg->count,
				reg->count > 1 ? "s" : "", name);
		kprobes_remove_registration(reg);
	}
}

/*
 * The kernel frees a module's parameters after the module's exit or its failed init, before it
 * frees the module's code and data.
 */
static const struct kernel_param_ops registered_ops = {
	.free = unregister_all,
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
