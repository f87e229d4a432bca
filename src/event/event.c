// SPDX-License-Identifier: GPL-2.0
/* Trace events: their listeners, the probes that listeners arm, and the output of records. */
#include <linux/err.h>
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/perf_event.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/trace_events.h>

#include "../bindings/probe.h"
#include "../bindings/trace_event.h"

#ifdef CONFIG_EVENT_TRACING

static_assert(sizeof(struct kprobes_event_field) == sizeof(struct trace_event_fields));
#define assert_same(field) static_assert(offsetof(struct kprobes_event_field, field) == \
					 offsetof(struct trace_event_fields, field))
assert_same(name);
assert_same(align);
assert_same(filter_type);
assert_same(len);

/*
 * Protects the listeners and the bindings of all events. Nests inside event_mutex and outside
 * kprobe_mutex, as in trace_kprobe.c.
 */
static DEFINE_MUTEX(lock);

/* The module's exit has run, or its init has failed. */
static bool exited;

static struct kprobes_event *event_of(struct trace_event_call *call)
{
	return container_of(call, struct kprobes_event, call);
}

static bool has_listener(const struct kprobes_event *event)
{
	return event->listeners || event->perf;
}

/*
 * Updates event->more after a listener was removed and no handler uses it any more. For a new
 * listener, more is set before handlers can find it. So the other listeners miss no record.
 */
static void set_more(struct kprobes_event *event)
{
	WRITE_ONCE(event->more, event->perf || (event->listeners && event->listeners->next));
}

static int arm(struct kprobes_binding *binding, bool on)
{
	return binding->arm(binding->reg->probes, binding->reg->count, on);
}

static int get(struct kprobes_binding *binding)
{
	int ret;

	if (binding->counted)
		return 0;
	ret = binding->reg->users ? 0 : arm(binding, true);
	if (!ret) {
		binding->counted = true;
		binding->reg->users++;
	}
	return ret;
}

static void put(struct kprobes_binding *binding)
{
	int ret;

	if (!binding->counted)
		return;
	binding->counted = false;
	if (--binding->reg->users)
		return;
	ret = arm(binding, false);
	/* Harmless: the handler finds no listener. Dropping the probe disarms it. */
	if (ret)
		pr_warn("%s: cannot disarm the probe of an event without listeners: %pe\n",
			THIS_MODULE->name, ERR_PTR(ret));
}

static void put_all(struct kprobes_event *event)
{
	struct kprobes_binding *binding;

	for (binding = event->bindings; binding; binding = binding->next)
		put(binding);
}

/*
 * Arms the probes of an event for a new listener, or returns the first error. A trigger cannot be
 * refused: it arms as many probes as possible, and the next listener retries the others.
 */
static int get_all(struct kprobes_event *event, bool trigger)
{
	struct kprobes_binding *binding;

	for (binding = event->bindings; binding; binding = binding->next) {
		int ret = get(binding);

		if (!ret)
			continue;
		if (!trigger) {
			if (!has_listener(event))
				put_all(event);
			return ret;
		}
		pr_warn("%s: cannot arm a probe of event %s:%s for a trigger: %pe\n",
			THIS_MODULE->name, event->system, event->name, ERR_PTR(ret));
	}
	return 0;
}

static int add_listener(struct kprobes_event *event, struct trace_event_file *file, bool trigger)
{
	gfp_t gfp = GFP_KERNEL | (trigger ? __GFP_NOFAIL : 0);
	struct kprobes_listener *listener = kzalloc(sizeof(*listener), gfp);
	int ret;

	if (!listener)
		return -ENOMEM;
	listener->file = file;
	listener->next = event->listeners;
	ret = get_all(event, trigger);
	if (ret) {
		kfree(listener);
		return ret;
	}
	if (listener->next)
		WRITE_ONCE(event->more, true);
	smp_store_release(&event->listeners, listener);
	return 0;
}

static void remove_listener(struct kprobes_event *event, struct trace_event_file *file)
{
	struct kprobes_listener **link = &event->listeners, *listener;

	while (*link && (*link)->file != file)
		link = &(*link)->next;
	listener = *link;
	if (!listener)
		return;
	WRITE_ONCE(*link, listener->next);
	if (!has_listener(event))
		put_all(event);
	/*
	 * Before the kernel frees the file and the buffer, it does not wait for handlers of
	 * probes, which may run even on a CPU that goes offline.
	 */
	kprobes_wait();
	set_more(event);
	kfree(listener);
}

static int set_perf(struct kprobes_event *event, bool on)
{
	int ret = on ? get_all(event, false) : 0;

	if (ret)
		return ret;
	/* The kernel has set perf_events before. */
	smp_store_release(&event->perf, on);
	if (on) {
		WRITE_ONCE(event->more, true);
	} else {
		if (!has_listener(event))
			put_all(event);
		/* The kernel will free perf_events, like the file in remove_listener(). */
		kprobes_wait();
		set_more(event);
	}
	return 0;
}

/*
 * Returns whether the kernel adds a trigger. In that case it ignores an error, and would later free
 * the file without unregistering the listener.
 */
static bool is_trigger(const struct trace_event_file *file)
{
	return file->flags & EVENT_FILE_FL_SOFT_DISABLED;
}

/*
 * trace_event_class::reg. The kernel calls this with event_mutex held, possibly before the module's
 * init or after its exit.
 */
static int reg(struct trace_event_call *call, enum trace_reg type, void *data)
{
	struct kprobes_event *event = event_of(call);

#ifdef CONFIG_PERF_EVENTS
	/* Interrupts are disabled, so the mutex must not be taken. */
	if (type == TRACE_REG_PERF_ADD || type == TRACE_REG_PERF_DEL)
		return 0;
#endif
	guard(mutex)(&lock);
	switch (type) {
	case TRACE_REG_REGISTER:
		if (exited)
			return is_trigger(data) ? 0 : -ENODEV;
		return add_listener(event, data, is_trigger(data));
	case TRACE_REG_UNREGISTER:
		remove_listener(event, data);
		return 0;
#ifdef CONFIG_PERF_EVENTS
	case TRACE_REG_PERF_REGISTER:
		return exited ? -ENODEV : set_perf(event, true);
	case TRACE_REG_PERF_UNREGISTER:
		return set_perf(event, false);
#endif
	default:
		return 0;
	}
}

/* Binds a registration to an event. Arms it if the event has a listener, otherwise disarms it. */
int kprobes_event_bind(struct kprobes_binding *binding)
{
	struct kprobes_event *event = binding->event;
	int ret = 0;

	if (kprobes_must_not_wait())
		return -EDEADLK;
	/* The kernel refuses the events of a module that was loaded by force. */
	if (!event->call.event.type)
		return -EOPNOTSUPP;
	guard(mutex)(&lock);
	if (exited)
		ret = -ENODEV;
	else if (has_listener(event))
		ret = get(binding);
	else if (!binding->reg->users)
		ret = arm(binding, false);
	if (!ret) {
		binding->next = event->bindings;
		event->bindings = binding;
	}
	return ret;
}

/*
 * Does not disarm the registration, because the caller drops it next. In atomic context, that drop
 * calls BUG(), see kprobes_remove_registration().
 */
void kprobes_event_unbind(struct kprobes_binding *binding)
{
	struct kprobes_binding **link = &binding->event->bindings;

	if (kprobes_must_not_wait())
		return;
	guard(mutex)(&lock);
	while (*link != binding)
		link = &(*link)->next;
	*link = binding->next;
}

/*
 * The maximum length of a line. A trace_seq has room for that, for the prefix that the kernel
 * writes, and for one trace_seq_printf() after is_full().
 */
#define MAX_LINE (TRACE_SEQ_BUFFER_SIZE - 512 - KSYM_SYMBOL_LEN)

struct line {
	struct trace_seq *s;
	size_t begin;
};

static bool is_full(const struct line *line)
{
	return trace_seq_used(line->s) - line->begin > MAX_LINE;
}

/* Like %pS, but hashes an address without a symbol. */
static void print_symbol(struct trace_seq *s, unsigned long address)
{
	char name[KSYM_SYMBOL_LEN];

	sprint_symbol(name, address);
	if (name[0] == '0')
		trace_seq_printf(s, "%p", (void *)address);
	else
		trace_seq_puts(s, name);
}

static void print_word(struct trace_seq *s, const struct kprobes_event_show *show, const void *at)
{
	u64 word = 0;

	/* Records are aligned only to 4 bytes. All supported architectures are little-endian. */
	memcpy(&word, at, show->size);
	switch (show->kind) {
	case KPROBES_SIGNED:
		trace_seq_printf(s, "%lld", sign_extend64(word, show->size * 8 - 1));
		break;
	case KPROBES_HEX:
		trace_seq_printf(s, "0x%llx", word);
		break;
	case KPROBES_POINTER:
		trace_seq_printf(s, "%p", (void *)word);
		break;
	case KPROBES_SYMBOL:
		print_symbol(s, word);
		break;
	default:
		trace_seq_printf(s, "%llu", word);
		break;
	}
}

/* Escapes the string as in the log, because programs choose their names. */
static void print_string(const struct line *line, const char *string, size_t size)
{
	const char *end = string + strnlen(string, size);

	for (; string < end && !is_full(line); string++) {
		if (*string >= ' ' && *string <= '~')
			trace_seq_putc(line->s, *string);
		else if (*string == '\t')
			trace_seq_puts(line->s, "\\t");
		else if (*string == '\n')
			trace_seq_puts(line->s, "\\n");
		else if (*string == '\r')
			trace_seq_puts(line->s, "\\r");
		else
			trace_seq_printf(line->s, "\\x%02x", (u8)*string);
	}
}

/* Like trace_print_array_seq(), but without a NUL. */
static void print_array(const struct line *line, const struct kprobes_event_show *show,
			const u8 *at)
{
	u64 word = 0;
	u16 n;

	trace_seq_putc(line->s, '{');
	for (n = 0; n < show->count && !is_full(line); n++, at += show->size) {
		memcpy(&word, at, show->size);
		trace_seq_printf(line->s, "%s0x%llx", n ? "," : "", word);
	}
	trace_seq_putc(line->s, '}');
}

static void print_field(const struct line *line, const struct kprobes_event_show *show,
			const u8 *entry, size_t size)
{
	const u8 *at = entry + show->offset;
	u16 where[2];

	if (show->offset + show->size * show->count > size) {
		trace_seq_puts(line->s, "(bad)");
		return;
	}
	switch (show->kind) {
	case KPROBES_CHARS:
		print_string(line, at, show->count);
		break;
	case KPROBES_STRING:
		memcpy(where, at, sizeof(where));
		/* User space may write to a mapped buffer, and a persistent one may be corrupt. */
		if (where[0] + where[1] > size)
			trace_seq_puts(line->s, "(bad)");
		else
			print_string(line, entry + where[0], where[1]);
		break;
	case KPROBES_ARRAY:
		print_array(line, show, at);
		break;
	default:
		print_word(line->s, show, at);
		break;
	}
}

static enum print_line_t print(struct trace_iterator *iter, int flags, struct trace_event *trace)
{
	const struct kprobes_event *event = container_of(trace, struct kprobes_event, call.event);
	struct line line = { .s = &iter->seq };
	const u8 *p;
	int ret = trace_raw_output_prep(iter, trace);

	if (ret != TRACE_TYPE_HANDLED)
		return ret;
	line.begin = trace_seq_used(line.s);
	for (p = event->line; *p && !is_full(&line); p++) {
		if (*p == 1)
			print_field(&line, &event->shows[*++p - 1], (u8 *)iter->ent,
				    iter->ent_size);
		else
			trace_seq_putc(line.s, *p);
	}
	trace_seq_puts(line.s, is_full(&line) ? "...\n" : "\n");
	return trace_handle_return(line.s);
}

/* register_trace_event() fills in the other members. */
static struct trace_event_functions funcs = {
	.trace = print,
};

#define for_each_event_of_ours(call)							\
	for (call = THIS_MODULE->trace_events;						\
	     call < THIS_MODULE->trace_events + THIS_MODULE->num_trace_events; call++)	\
		if ((*call)->class->reg == reg)

static int (*module_init_function)(void);
static void (*module_exit_function)(void);

/*
 * Returns whether the kernel has another event of the same name, which the kernel does not check.
 *
 * Context: event_mutex, right after __register_event() in kernel/trace/trace_events.c has added the
 * event at the front of the list of all events. So the predecessor is the list's head, which is not
 * exported.
 */
static bool is_duplicate(struct kprobes_event *event)
{
	const struct list_head *head = event->call.list.prev;
	struct trace_event_call *other;

	list_for_each_entry(other, head, list) {
		const char *name = trace_event_name(other);

		if (other != &event->call && name && other->class &&
		    !strcmp(name, event->name) && !strcmp(other->class->system, event->system))
			return true;
	}
	return false;
}

/*
 * trace_event_class::get_fields. The kernel first calls this when it creates the event's first
 * directory, before it releases event_mutex.
 */
static struct list_head *get_fields(struct trace_event_call *call)
{
	struct kprobes_event *event = event_of(call);

	/* If that directory could not be allocated, the first call may be from another task. */
	if (event->adder == current) {
		event->adder = NULL;
		event->is_duplicate = is_duplicate(event);
	}
	return &event->class.fields;
}

/*
 * Detaches all listeners. After the module's exit, the kernel does not detach them if a trigger has
 * the event in soft mode, and it frees the event's files before leaked probes are unregistered.
 */
static void detach_listeners(void)
{
	struct trace_event_call **call;
	struct kprobes_listener *listener;
	struct kprobes_event *event;

	mutex_lock(&lock);
	exited = true;
	for_each_event_of_ours(call) {
		event = event_of(*call);
		event->detached = event->listeners;
		WRITE_ONCE(event->listeners, NULL);
		WRITE_ONCE(event->perf, false);
		WRITE_ONCE(event->more, false);
	}
	mutex_unlock(&lock);
	kprobes_wait();
	for_each_event_of_ours(call) {
		event = event_of(*call);
		while ((listener = event->detached)) {
			event->detached = listener->next;
			kfree(listener);
		}
	}
}

/* Called instead of the module's init. */
static int init_hook(void)
{
	struct trace_event_call **call;
	int ret = 0;

	for_each_event_of_ours(call) {
		struct kprobes_event *event = event_of(*call);

		event->adder = NULL;
		if (!event->is_duplicate)
			continue;
		pr_err("%s: event %s:%s already exists\n", THIS_MODULE->name,
		       event->system, event->name);
		/* For the module loader, EEXIST means that the module is loaded. */
		ret = -EBUSY;
	}
	if (!ret)
		ret = module_init_function();
	if (ret)
		detach_listeners();
	return ret;
}

/* Called instead of the module's exit. */
static void exit_hook(void)
{
	module_exit_function();
	detach_listeners();
}

static void hook_init_and_exit(void)
{
	if (THIS_MODULE->init == init_hook)
		return;
	module_init_function = THIS_MODULE->init;
	THIS_MODULE->init = init_hook;
#ifdef CONFIG_MODULE_UNLOAD
	module_exit_function = THIS_MODULE->exit;
	if (module_exit_function)
		THIS_MODULE->exit = exit_hook;
#endif
}

/* trace_event_class::raw_init. The kernel calls this before the module's init. */
int kprobes_event_raw_init(struct trace_event_call *call)
{
	struct kprobes_event *event = event_of(call);

	hook_init_and_exit();
	INIT_LIST_HEAD(&event->class.fields);
	event->class.system = event->system;
	event->class.fields_array = (struct trace_event_fields *)event->fields;
	event->class.get_fields = get_fields;
	event->class.reg = reg;
	event->call.print_fmt = event->print_fmt;
	event->call.event.funcs = &funcs;
	event->adder = current;
	return trace_event_raw_init(call);
}
#else
int kprobes_event_raw_init(struct trace_event_call *call)
{
	return -EOPNOTSUPP;
}

int kprobes_event_bind(struct kprobes_binding *binding)
{
	return -EOPNOTSUPP;
}

void kprobes_event_unbind(struct kprobes_binding *binding)
{
}
#endif

#if defined(CONFIG_EVENT_TRACING) && defined(CONFIG_PERF_EVENTS)
/* Like perf_trace_*() of a TRACE_EVENT(). Context: preemption disabled. */
void *kprobes_event_perf(struct kprobes_event *event, size_t size, struct pt_regs **regs,
			 int *context)
{
	struct hlist_head *head = this_cpu_ptr(event->call.perf_events);
	struct pt_regs *here;
	void *entry;

	if (!bpf_prog_array_valid(&event->call) && hlist_empty(head))
		return NULL;
	entry = perf_trace_buf_alloc(size, &here, context);
	if (entry && !*regs) {
		perf_fetch_caller_regs(here);
		*regs = here;
	}
	return entry;
}

void kprobes_event_perf_submit(struct kprobes_event *event, void *entry, size_t size,
			       struct pt_regs *regs, int context)
{
	perf_trace_run_bpf_submit(entry, size, context, &event->call, 1, regs,
				  this_cpu_ptr(event->call.perf_events), NULL);
}
#else
void *kprobes_event_perf(struct kprobes_event *event, size_t size, struct pt_regs **regs,
			 int *context)
{
	return NULL;
}

void kprobes_event_perf_submit(struct kprobes_event *event, void *entry, size_t size,
			       struct pt_regs *regs, int context)
{
}
#endif

void kprobes_preempt_disable(void)
{
	preempt_disable_notrace();
}

void kprobes_preempt_enable(void)
{
	preempt_enable_notrace();
}
