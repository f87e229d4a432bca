// SPDX-License-Identifier: GPL-2.0
/* The list of the module's registrations, which are unregistered when the module is unloaded. */
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
	/* Handlers of tracepoints may be preempted, so preempt_count() does not show them. */
	why |= current->trace_recursion & (0xfU << KPROBES_IN_TRACEPOINT_BIT |
					   0xfU << KPROBES_IN_ENTRY_BIT);
#endif
	return why;
}

/*
 * Returns 0 if object may contain a registration and the caller may sleep. The stack is refused
 * because after a BUG(), it is freed but its objects are not dropped.
 */
int kprobes_may_register(const void *object)
{
	if (kprobes_must_not_wait())
		return -EDEADLK;
	return object_is_on_stack(object) ? -EINVAL : 0;
}

/*
 * Never returns, because the caller would free memory that the kernel still uses. The hung task
 * detector, which may panic, ignores TASK_IDLE. TASK_FREEZABLE lets the machine suspend.
 */
void __kprobes kprobes_block_forever(void)
{
	static DECLARE_COMPLETION(never);

	wait_for_completion_state(&never, TASK_IDLE | TASK_FREEZABLE);
}

/*
 * Functions that run at module exit are __kprobes: by then, kill_kprobe() has freed the copies
 * of probed instructions of this module, but the breakpoints remain.
 */

/*
 * Unregisters the probes and waits for their handlers; the caller may then free them. In atomic
 * context, where this cannot wait, it ends in BUG(): the probes stay registered and on the list.
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
 * Unregisters and reports probes that are still registered after the module's exit or its failed
 * init. Watches are first, because their handlers may still create and drop probes. Watches are at
 * the end of the list, where nothing else is added.
 *
 * If the list is empty, this does not take the lock: the module is UNFORMED, so its addresses
 * belong to no module, and lockdep would disable itself at the first use of a static lock there.
 * Without watches, nothing adds to the list.
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
			/* No symbol, as in an unloaded module: do not log the raw address. */
			if (symbol[0] == '0')
				scnprintf(symbol, sizeof(symbol), "%p", (void *)reg->address);
		}
		/* Registrations of the library itself have neither an address nor a name. */
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

/* insmod cannot set a parameter whose name contains "=" after the first character. */
static const struct kernel_param registered_param
	__used __section("__param") __aligned(__alignof__(struct kernel_param)) = {
	.name = "left=",
	.mod = THIS_MODULE,
	.ops = &registered_ops,
	.level = -1,
};
