// SPDX-License-Identifier: GPL-2.0
/* Finds tracepoints, also in modules, and adds and removes their handlers. */
#include <linux/errno.h>
#include <linux/err.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/trace_events.h>
#include <linux/tracepoint.h>

#include "bindings/probe.h"

/* Serialises changes of handlers and of the lists below. */
static DEFINE_MUTEX(lock);
/* The modules with tracepoints, and the handlers of these tracepoints. */
static LIST_HEAD(modules);
static LIST_HEAD(in_modules);

struct tracing_module {
	struct list_head list;
	struct module *mod;
};

struct search {
	const char *name;
	struct tracepoint *found;
};

static void visit(struct tracepoint *tracepoint, void *data)
{
	struct search *search = data;

	if (!strcmp(tracepoint->name, search->name))
		search->found = tracepoint;
}

/* Returns the name without the system of the event: sched_switch of sched:sched_switch. */
static const char *event_of(const char *name)
{
	return strchr(name, ':') ? strchr(name, ':') + 1 : name;
}

/* Returns the tracepoint, and sets *mod to its module or NULL. To be called under the lock. */
static struct tracepoint *find(const char *name, struct module **mod)
{
	struct search search = { .name = event_of(name) };
	struct tracing_module *in;

	*mod = NULL;
	for_each_kernel_tracepoint(visit, &search);
	list_for_each_entry(in, &modules, list)
		for (unsigned int i = 0; !search.found && i < in->mod->num_tracepoints; i++) {
			visit(tracepoint_ptr_deref(&in->mod->tracepoints_ptrs[i]), &search);
			*mod = in->mod;
		}
	return search.found;
}

/* Returns true for the events of a single system call, which are not tracepoints. */
static bool is_of_syscall(const char *event)
{
	return strstarts(event, "sys_enter_") || strstarts(event, "sys_exit_");
}

/*
 * Returns whether module has the tracepoint. If module is NULL, returns false only if a module that
 * is loaded later may have it.
 */
bool kprobes_tracepoint_exists(const char *name, const char *module)
{
	struct module *mod;

	guard(mutex)(&lock);
	if (!module)
		return is_of_syscall(event_of(name)) || find(name, &mod);
	return find(name, &mod) && mod && !strcmp(mod->name, module);
}

/* Returns whether the tracepoint has an event in the system that name begins with, if any. */
static bool is_in_system(const char *name)
{
	const char *event = event_of(name);
	struct trace_event_file *file;
	char system[64];

	if (event == name || !IS_ENABLED(CONFIG_EVENT_TRACING))
		return true;
	strscpy(system, name, min(sizeof(system), (size_t)(event - name)));
	file = trace_get_event_file(NULL, system, event);
	if (IS_ERR(file))
		return false;
	trace_put_event_file(file);
	return true;
}

/*
 * Finds the tracepoint of a handler, of which only hit is set. From here on, unloading the module
 * of the tracepoint marks the handler as gone.
 */
int kprobes_tracepoint_find(struct kprobes_tracepoint *tp, const char *name)
{
	if (is_of_syscall(event_of(name)))
		return -ENOENT;
	if (kprobes_tracepoint_exists(name, NULL) && !is_in_system(name))
		return -ENOENT;
	guard(mutex)(&lock);
	tp->tracepoint = find(name, &tp->mod);
	if (!tp->tracepoint)
		return -ENOENT;
	tp->name = tp->mod ? kstrdup(tp->tracepoint->name, GFP_KERNEL) : tp->tracepoint->name;
	if (!tp->name)
		return -ENOMEM;
	if (tp->mod)
		list_add(&tp->in_module, &in_modules);
	return 0;
}

/* As kprobes_report_refused(), with the reason. */
void kprobes_report_tracepoint(const char *what, int index, const char *name, int errno)
{
	const char *why = errno != -ENOENT ? "the kernel refused" :
			  is_of_syscall(event_of(name)) ? "a system call's event: use syscall!()" :
			  kprobes_tracepoint_exists(name, NULL) ?
			  "the tracepoint is in another system" : "no such tracepoint";

	kprobes_report_refused(what, index, name, 0, errno, why);
}

/* Releases a tracepoint found by kprobes_tracepoint_find(). */
void __kprobes kprobes_tracepoint_put(struct kprobes_tracepoint *tp)
{
	if (!tp->mod)
		return;
	mutex_lock(&lock);
	__list_del_entry(&tp->in_module);
	mutex_unlock(&lock);
	kfree(tp->name);
}

/* Returns the size of a function, which sprint_symbol() prints at the end; 0 if unknown. */
static unsigned long size_of(void *function)
{
	char symbol[KSYM_SYMBOL_LEN];
	const char *size;

	sprint_symbol(symbol, (unsigned long)function);
	size = strrchr(symbol, '/');
	return size ? simple_strtoul(size + 1, NULL, 0) : 0;
}

static int __kprobes enable(struct kprobes_tracepoint *tp, bool on)
{
	int ret = 0;

	if (tp->gone)
		return 0;
	if (on && !tp->iterator_size)
		tp->iterator_size = size_of(tp->tracepoint->iterator);
	if (tp->enabled != on)
		ret = on ? tracepoint_probe_register(tp->tracepoint, tp->hit, tp) :
			   tracepoint_probe_unregister(tp->tracepoint, tp->hit, tp);
	if (!ret)
		WRITE_ONCE(tp->enabled, on);
	return ret;
}

/* Adds the handler to the tracepoint, or removes it. Does nothing if it is gone. */
int __kprobes kprobes_tracepoint_enable(struct kprobes_tracepoint *tp, bool on)
{
	/* At module exit, do not use the lock for the first time, see unregister_all(). */
	if (READ_ONCE(tp->enabled) == on)
		return 0;
	guard(mutex)(&lock);
	return enable(tp, on);
}

/* Removes handlers from a module that is unloaded; the kernel warns of those that remain. */
static int __kprobes notify(struct notifier_block *block, unsigned long event, void *data)
{
	struct module *mod = ((struct tp_module *)data)->mod;
	struct tracing_module *in, *next;
	struct kprobes_tracepoint *tp;

	guard(mutex)(&lock);
	list_for_each_entry_safe(in, next, &modules, list)
		if (in->mod == mod) {
			list_del(&in->list);
			kfree(in);
		}
	if (event == MODULE_STATE_COMING) {
		in = kmalloc(sizeof(*in), GFP_KERNEL | __GFP_NOFAIL);
		in->mod = mod;
		list_add(&in->list, &modules);
		return NOTIFY_DONE;
	}
	list_for_each_entry(tp, &in_modules, in_module)
		if (tp->mod == mod) {
			enable(tp, false);
			WRITE_ONCE(tp->gone, true);
		}
	return NOTIFY_DONE;
}

static struct notifier_block block = { .notifier_call = notify };

static void __kprobes unregister_watch(void **none, unsigned int count)
{
	/* This calls notify() for all modules, as if they were unloaded. */
	unregister_tracepoint_module_notifier(&block);
}

/* The first handler registers the notifier, until module exit. */
void kprobes_tracepoint_watch(void)
{
	static struct kprobes_registration reg = { .unregister = unregister_watch };
	static DEFINE_MUTEX(once);

	guard(mutex)(&once);
	if (!reg.list.next) {
		/* This calls notify() for all loaded modules. */
		register_tracepoint_module_notifier(&block);
		kprobes_add_registration(&reg);
	}
}

void __kprobes kprobes_tracepoint_wait(void)
{
	tracepoint_synchronize_unregister();
}
