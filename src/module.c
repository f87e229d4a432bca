// SPDX-License-Identifier: GPL-2.0
/* A watch for modules that come and go: its registration, its calls and its end. */
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
 * The kernel holds a semaphore while it calls a watch, for which (un)registering one waits: in a
 * handler that waits for itself. The task remembers that it is in one, as it does for tracepoints.
 * Without CONFIG_TRACING it has no room to.
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
 * Whether the kernel calls the chain of module notifiers, and waits for us: in the handler of a
 * watch, and in the KUnit suites of a module, which run while it loads.
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

static void __kprobes end_watch(void **watches, unsigned int count)
{
	struct kprobes_watch *watch = *watches;

	unregister_module_notifier(&watch->block);
}

/* The watch has its handler; all else is 0. */
int kprobes_watch_register(struct kprobes_watch *watch)
{
	int errno;

	if (kprobes_in_chain())
		return -EDEADLK;
	watch->block.notifier_call = call;
	/*
	 * Behind the kernel's own callbacks, of priority 0, which add a module's blacklist and its
	 * tracepoints, and mark kprobes as gone.
	 */
	watch->block.priority = -1;
	errno = register_module_notifier(&watch->block);
	if (errno)
		return errno;
	watch->reg.unregister = end_watch;
	watch->reg.name = "the module notifier";
	watch->reg.probes = &watch->reg.single;
	watch->reg.single = watch;
	watch->reg.count = 1;
	mutex_lock(&kprobes_registered_lock);
	list_add_tail(&watch->reg.list, &kprobes_registered);
	mutex_unlock(&kprobes_registered_lock);
	return 0;
}

/* As kprobes_remove_registration(). It stays on the list where it is stopped. */
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
