// SPDX-License-Identifier: GPL-2.0
/* Trace events that are made at run time: how they come, go, and are kept until the module's end. */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/trace_events.h>

#include "../helper.h"

#ifdef CONFIG_EVENT_TRACING

/* How many descriptions there can be. */
#define MOST 1024

/*
 * An event, which is allocated once for each description, and freed at the module's
 * end. When its last user has gone it is removed from tracefs, unless somebody
 * listens to it or may know it; and when it is made again it is added again.
 *
 * Its number in the records stays its own: those that are still in the buffers of
 * tracefs would else be printed by the event that gets the number next, perhaps one
 * of the kernel's that trusts the offsets in them. That is why it is registered for
 * printing by itself, as shown, and call.event has no funcs.
 */
struct dynamic {
	struct kprobes_event event;
	struct trace_event_call shown;
	refcount_t users;
	/* The kernel has it. */
	bool there;
};

static struct dynamic *dynamic_of(struct kprobes_event *event)
{
	return container_of(event, struct dynamic, event);
}

/* Who makes and removes. Taken outside of event_mutex. */
static DEFINE_MUTEX(makers);
static unsigned int count;

/*
 * trace_add_event_call() and trace_remove_event_call() want event_mutex, which is not
 * exported. This leans on trace_set_clr_event(), which is: it looks for the event by
 * its name, and calls trace_event_class::reg with the mutex held. So this is an event
 * of our own, in whose reg the two are called, by the task that asked for it. Adding
 * and removing others there is no harm: __ftrace_set_clr_event_nolock() reads the link
 * to the next one when reg has returned. trace_types_lock and trace_event_sem are taken
 * inside event_mutex, as for the events of trace_kprobe.c.
 *
 * It has no number, no fields, no buffer. TRACE_EVENT_FL_IGNORE_ENABLE keeps it out of
 * everybody else's way: it cannot be enabled, and has no triggers. Only while we call
 * is that off. Who enables it then, or has enabled it, does no harm; our first call does
 * nothing then, and the second one disables it.
 */
static struct trace_event_call control;
static bool control_there;
static int (*asked)(struct dynamic *dynamic);
static struct dynamic *asked_for;
static struct task_struct *asker;
static int answer;

static int control_reg(struct trace_event_call *call, enum trace_reg type, void *data)
{
	switch (type) {
	case TRACE_REG_REGISTER:
	case TRACE_REG_UNREGISTER:
		if (READ_ONCE(asker) == current && asked) {
			answer = asked(asked_for);
			asked = NULL;
		}
		return 0;
#ifdef CONFIG_PERF_EVENTS
	case TRACE_REG_PERF_REGISTER:
		return -EOPNOTSUPP;
#endif
	default:
		return 0;
	}
}

/* trace_event_class::raw_init, before the module's init. */
static int control_raw_init(struct trace_event_call *call)
{
	call->class->system = THIS_MODULE->name;
	control_there = true;
	kprobes_event_hook();
	return 0;
}

static struct trace_event_fields no_fields[] = { {} };
static char no_format[] = "\"\"";
static struct trace_event_class control_class = {
	.fields_array = no_fields,
	.fields = LIST_HEAD_INIT(control_class.fields),
	.raw_init = control_raw_init,
	.reg = control_reg,
};
static struct trace_event_call control = {
	.class = &control_class,
	.name = "kprobes_at_run_time",
	.print_fmt = no_format,
	.flags = TRACE_EVENT_FL_IGNORE_ENABLE,
};
static struct trace_event_call *control_listed __used __section("_ftrace_events") = &control;

static int with_event_mutex(int (*what)(struct dynamic *dynamic), struct dynamic *dynamic)
{
	int tries;

	lockdep_assert_held(&makers);
	asked = what;
	asked_for = dynamic;
	WRITE_ONCE(asker, current);
	WRITE_ONCE(control.flags, 0);
	/* Somebody else can enable it before the first call, and disable it before the second. */
	for (tries = 0; asked && tries < 10; tries++) {
		trace_set_clr_event(control_class.system, control.name, 1);
		trace_set_clr_event(control_class.system, control.name, 0);
	}
	WRITE_ONCE(control.flags, TRACE_EVENT_FL_IGNORE_ENABLE);
	WRITE_ONCE(asker, NULL);
	if (!asked)
		return answer;
	asked = NULL;
	return -EIO;
}

/* What an event has that is not there: no fields. */
static struct trace_event_class no_class = {
	.fields = LIST_HEAD_INIT(no_class.fields),
};

/* With event_mutex, which the kernel takes after the module's exit to remove what is there. */
static int add(struct dynamic *dynamic)
{
	int ret;

	if (kprobes_event_ended())
		return -ENODEV;
	ret = trace_add_event_call(&dynamic->event.call);
	if (ret)
		return ret;
	/* It does not say when it ran out of memory for a field. */
	if (list_count_nodes(&dynamic->event.class.fields) != dynamic->event.count) {
		trace_remove_event_call(&dynamic->event.call);
		return -ENOMEM;
	}
	/* Who prints records with options/fields may be reading it already. */
	smp_store_release(&dynamic->shown.class, &dynamic->event.class);
	/* Those who know it have a reference to the module. */
	dynamic->event.call.module = THIS_MODULE;
	dynamic->there = true;
	return 0;
}

/*
 * Whether somebody may know the event: perf, event probes and triggers take a
 * reference to its module, with event_mutex held. It cannot be told from others.
 */
static bool known(void)
{
#ifdef CONFIG_MODULE_UNLOAD
	/* The module loader has one until init is done. */
	return module_refcount(THIS_MODULE) > (THIS_MODULE->state == MODULE_STATE_COMING);
#else
	return true;
#endif
}

/* With event_mutex. */
static int remove(struct dynamic *dynamic)
{
	int ret;

	/* trace_remove_event_call() would forget which buffers are to be emptied. */
	if (kprobes_event_set_gone(&dynamic->event, true) || known())
		return -EBUSY;
	if (kprobes_event_ended())
		return -ENODEV;
	/* The function waits for those who print, before it frees the fields. */
	WRITE_ONCE(dynamic->shown.class, &no_class);
	ret = trace_remove_event_call(&dynamic->event.call);
	if (ret)
		WRITE_ONCE(dynamic->shown.class, &dynamic->event.class);
	dynamic->there = ret;
	return ret;
}

static void remove_unused(void)
{
	struct kprobes_event *event;

	for (event = kprobes_event_all(); event; event = event->next) {
		struct dynamic *dynamic = dynamic_of(event);

		if (!dynamic->there || refcount_read(&dynamic->users))
			continue;
		/* remove() looks again, when nobody can come. */
		if (!kprobes_event_set_gone(event, true) && !known())
			with_event_mutex(remove, dynamic);
	}
}

static enum print_line_t print(struct trace_iterator *iter, int flags, struct trace_event *trace)
{
	struct dynamic *dynamic = container_of(trace, struct dynamic, shown.event);

	return kprobes_event_print(iter, trace, &dynamic->event);
}

/* register_trace_event() fills in the others. */
static struct trace_event_functions funcs = {
	.trace = print,
};

static void destroy(struct dynamic *dynamic)
{
	struct kprobes_event *event = &dynamic->event;
	u16 n;

	if (event->fields)
		for (n = 0; n < event->count; n++)
			kfree(event->fields[n].name);
	kfree(event->fields);
	kfree(event->shows);
	kfree(event->line);
	kfree(event->print_fmt);
	kfree(event->name);
	kfree(event->system);
	kfree(dynamic);
}

static struct dynamic *create(const struct kprobes_description *desc)
{
	struct dynamic *dynamic;
	struct kprobes_event *event;
	int ret = -ENOMEM;
	u16 n;

	if (count == MOST)
		return ERR_PTR(-ENOSPC);
	dynamic = kzalloc(sizeof(*dynamic), GFP_KERNEL);
	if (!dynamic)
		return ERR_PTR(-ENOMEM);
	event = &dynamic->event;
	event->system = kstrdup(desc->system, GFP_KERNEL);
	event->name = kstrdup(desc->name, GFP_KERNEL);
	event->print_fmt = kstrdup(desc->print_fmt, GFP_KERNEL);
	event->line = (const u8 *)kstrdup((const char *)desc->line, GFP_KERNEL);
	event->shows = kmemdup(desc->shows, desc->count * sizeof(*desc->shows), GFP_KERNEL);
	/* An empty one is the last. */
	event->fields = kcalloc(desc->count + 1, sizeof(*desc->fields), GFP_KERNEL);
	event->size = desc->size;
	if (!event->system || !event->name || !event->print_fmt || !event->line ||
	    !event->shows || !event->fields)
		goto fail;
	for (n = 0; n < desc->count; n++) {
		event->fields[n] = desc->fields[n];
		event->fields[n].name = kstrdup(desc->fields[n].name, GFP_KERNEL);
		event->count = n + 1;
		if (!event->fields[n].name)
			goto fail;
	}
	dynamic->shown.class = &no_class;
	dynamic->shown.tp = &event->tp;
	dynamic->shown.flags = KPROBES_EVENT_FLAGS;
	dynamic->shown.print_fmt = event->print_fmt;
	dynamic->shown.event.funcs = &funcs;
	ret = kprobes_event_enter(event);
	if (ret)
		goto fail;
	count++;
	return dynamic;
fail:
	destroy(dynamic);
	return ERR_PTR(ret);
}

/* The one of that description that nobody uses. */
static struct dynamic *find(const struct kprobes_description *desc)
{
	struct kprobes_event *event;
	u16 n;

	for (event = kprobes_event_all(); event; event = event->next) {
		if (refcount_read(&dynamic_of(event)->users) || event->count != desc->count ||
		    strcmp(event->system, desc->system) || strcmp(event->name, desc->name) ||
		    strcmp(event->print_fmt, desc->print_fmt) ||
		    memcmp(event->shows, desc->shows, desc->count * sizeof(*desc->shows)))
			continue;
		for (n = 0; n < desc->count; n++)
			if (strcmp(event->fields[n].type, desc->fields[n].type))
				break;
		if (n == desc->count)
			return dynamic_of(event);
	}
	return NULL;
}

/* Whether there is an event of that name: the kernel does not ask. */
static bool taken(const struct kprobes_description *desc)
{
	struct trace_event_file *file = trace_get_event_file(NULL, desc->system, desc->name);

	if (!IS_ERR(file)) {
		trace_put_event_file(file);
		return true;
	}
	/* That of a module that goes. */
	return PTR_ERR(file) == -EBUSY || (!strcmp(desc->system, control_class.system) &&
					   !strcmp(desc->name, control.name));
}

static struct dynamic *make(const struct kprobes_description *desc)
{
	struct dynamic *dynamic;
	int ret;

	if (!control_there)
		return ERR_PTR(-EOPNOTSUPP);
	if (kprobes_event_ended())
		return ERR_PTR(-ENODEV);
	remove_unused();
	dynamic = find(desc);
	if (!dynamic || !dynamic->there) {
		if (taken(desc))
			return ERR_PTR(-EEXIST);
		if (!dynamic)
			dynamic = create(desc);
		if (IS_ERR(dynamic))
			return dynamic;
		if (!dynamic->shown.event.type) {
			if (!register_trace_event(&dynamic->shown.event))
				return ERR_PTR(-ENOSPC);
			dynamic->event.call.event.type = dynamic->shown.event.type;
		}
	}
	kprobes_event_set_gone(&dynamic->event, false);
	if (!dynamic->there) {
		ret = with_event_mutex(add, dynamic);
		if (ret)
			return ERR_PTR(ret);
	}
	refcount_set(&dynamic->users, 1);
	return dynamic;
}

struct kprobes_event *kprobes_event_make(const struct kprobes_description *desc)
{
	struct dynamic *dynamic;

	if (kprobes_must_not_wait())
		return ERR_PTR(-EDEADLK);
	mutex_lock(&makers);
	dynamic = make(desc);
	mutex_unlock(&makers);
	return IS_ERR(dynamic) ? ERR_CAST(dynamic) : &dynamic->event;
}

/* Context: any. The caller is a user. */
void kprobes_event_get(struct kprobes_event *event)
{
	refcount_inc(&dynamic_of(event)->users);
}

/* Where one must not sleep, it is removed when the next one is made or dropped. */
void kprobes_event_put(struct kprobes_event *event)
{
	struct dynamic *dynamic = dynamic_of(event);

	if (kprobes_must_not_wait()) {
		if (refcount_dec_and_test(&dynamic->users))
			return;
	} else if (refcount_dec_and_mutex_lock(&dynamic->users, &makers)) {
		remove_unused();
		mutex_unlock(&makers);
	}
}

/*
 * The module's end: the kernel has removed what was there, and emptied the buffers.
 * Probes that are left may use the events, so they go first.
 */
static void free_param(void *arg)
{
	struct kprobes_event *event, *next;

	kprobes_leave_all();
	for (event = kprobes_event_all(); event; event = next) {
		struct dynamic *dynamic = dynamic_of(event);

		next = event->next;
		if (refcount_read(&dynamic->users))
			pr_warn("%s: left: the event %s:%s; removed now\n", THIS_MODULE->name,
				event->system, event->name);
		/*
		 * Records of one that was removed may be in buffers that the kernel has not
		 * emptied: another event that it could not remove makes it forget them. So
		 * nobody else gets its number.
		 */
		if (event->recorded && !dynamic->there)
			dynamic->shown.event.type = 0;
		if (event->call.event.type)
			unregister_trace_event(&dynamic->shown.event);
		destroy(dynamic);
	}
}

static const struct kernel_param_ops made_ops = {
	.free = free_param,
};

/* Nobody can set it, as registered_param. */
static const struct kernel_param made_param
	__used __section("__param") __aligned(__alignof__(struct kernel_param)) = {
	.name = "made=",
	.mod = THIS_MODULE,
	.ops = &made_ops,
	.level = -1,
};

#else
struct kprobes_event *kprobes_event_make(const struct kprobes_description *desc)
{
	return ERR_PTR(-EOPNOTSUPP);
}

void kprobes_event_get(struct kprobes_event *event)
{
}

void kprobes_event_put(struct kprobes_event *event)
{
}
#endif
