// SPDX-License-Identifier: GPL-2.0
/* Watches: module notifiers that Rust code registers. */
#include <linux/bug.h>
#include <linux/kobject.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/sched.h>

#include "bindings/probe.h"
#include "bindings/task.h"

/*
 * The kernel holds the semaphore of the notifier chain while it calls a watch. A handler that
 * registers or unregisters a watch would deadlock, so a bit in the task marks running handlers.
 * Without CONFIG_TRACING, there is no such bit.
 */
static bool in_watch(void)
{
#ifdef CONFIG_TRACING
	return current->trace_recursion & KPROBES_IN_WATCH;
#else
	return false;
#endif
}

/*
 * Returns true if the current task runs a module notifier: in the handler of a watch, and in a
 * KUnit suite, which a notifier runs while the module loads.
 */
bool kprobes_in_chain(void)
{
#if IS_ENABLED(CONFIG_KUNIT)
	if (current->kunit_test)
		return true;
#endif
	return in_watch();
}

static void set_in_watch(bool in)
{
#ifdef CONFIG_TRACING
	if (in)
		current->trace_recursion |= KPROBES_IN_WATCH;
	else
		current->trace_recursion &= ~KPROBES_IN_WATCH;
#endif
}

static int call(struct notifier_block *block, unsigned long event, void *module)
{
	struct kprobes_watch *watch = container_of(block, struct kprobes_watch, block);
	const struct module *mod = module;

	set_in_watch(true);
	watch->call(watch, event == MODULE_STATE_COMING ? mod->name : NULL);
	set_in_watch(false);
	return NOTIFY_DONE;
}

static void __kprobes unregister_watch(void **watches, unsigned int count)
{
	struct kprobes_watch *watch = *watches;

	unregister_module_notifier(&watch->block);
}

/* watch->call is set, and all other fields are 0. */
int kprobes_watch_register(struct kprobes_watch *watch)
{
	int errno;

	if (kprobes_in_chain())
		return -EDEADLK;
	watch->block.notifier_call = call;
	/*
	 * After the kernel's callbacks, which have priority 0: they add a module's kprobe blacklist
	 * and its tracepoints, and mark kprobes as gone.
	 */
	watch->block.priority = -1;
	errno = register_module_notifier(&watch->block);
	if (errno)
		return errno;
	watch->reg.unregister = unregister_watch;
	watch->reg.name = "the module notifier (ModuleWatch)";
	watch->reg.probes = &watch->reg.single;
	watch->reg.single = watch;
	watch->reg.count = 1;
	mutex_lock(&kprobes_registered_lock);
	list_add_tail(&watch->reg.list, &kprobes_registered);
	mutex_unlock(&kprobes_registered_lock);
	return 0;
}

/* Like kprobes_remove_registration(). If it ends in BUG(), the watch stays registered. */
void kprobes_drop_watch(struct kprobes_watch *watch)
{
	if (unlikely(in_watch())) {
		pr_emerg("%s: ModuleWatch dropped in the handler of a ModuleWatch\n",
			 THIS_MODULE->name);
		BUG();
	}
	kprobes_remove_registration(&watch->reg);
}

/*
 * Returns whether the module of MODULE:SYMBOL is not loaded, or is being unloaded. A loading module
 * is in sysfs only after its notifiers were called: they take it for loaded, and so do handlers.
 */
bool kprobes_module_is_missing(const char *symbol)
{
	char name[MODULE_NAME_LEN];
	struct kobject *kobj;
	struct module *mod;
	bool missing;

	if (kprobes_must_not_wait() || kprobes_in_chain())
		return false;
	strscpy(name, symbol, min(sizeof(name), strcspn(symbol, ":") + 1));
	kobj = kset_find_obj(THIS_MODULE->mkobj.kobj.kset, name);
	/* The reference keeps the module's memory. What is built in has no module. */
	mod = kobj ? container_of(kobj, struct module_kobject, kobj)->mod : NULL;
	missing = !mod || READ_ONCE(mod->state) == MODULE_STATE_GOING;
	kobject_put(kobj);
	return missing;
}
