/* SPDX-License-Identifier: GPL-2.0 */
/* Trace events of the module. */
#include <linux/trace_events.h>
#include <linux/tracepoint.h>

struct kprobes_registration;

/* A tracefs instance in which an event is enabled. */
struct kprobes_listener {
	struct trace_event_file *file;
	struct kprobes_listener *next;
};

/* As struct trace_event_fields, whose bit-fields bindgen cannot set in a constant. */
struct kprobes_event_field {
	const char *type;
	const char *name;
	int size;
	int align;
	unsigned int is_signed;
	int filter_type;
	int len;
};

/* How the kernel prints a field. */
enum kprobes_event_kind {
	KPROBES_UNSIGNED,
	KPROBES_SIGNED,
	KPROBES_HEX,
	KPROBES_POINTER,
	KPROBES_SYMBOL,
	/* An array of char, possibly without a NUL. */
	KPROBES_CHARS,
	/* __data_loc: a string at the end of the record. */
	KPROBES_STRING,
	KPROBES_ARRAY,
};

struct kprobes_event_show {
	u8 kind;
	/* Size of an element. */
	u8 size;
	u16 offset;
	u16 count;
};

/* A trace event, always a static. Handlers read listeners, perf and more without a lock. */
struct kprobes_event {
	struct trace_event_call call;
	/* The tracefs instances in which it is enabled. */
	struct kprobes_listener *listeners;
	/* perf or a BPF program is attached. */
	bool perf;
	/* A second tracefs instance, perf or a BPF program is attached. */
	bool more;
	/* The kernel already had an event of this name. */
	bool is_duplicate;
	/* The task in which the kernel adds the event. */
	struct task_struct *adder;
	/* Listeners that detach_listeners() will free. */
	struct kprobes_listener *detached;
	struct trace_event_class class;
	/* Only its name is used. BPF programs attach only with TRACE_EVENT_FL_TRACEPOINT. */
	struct tracepoint tp;
	const char *name;
	const char *system;
	char *print_fmt;
	struct kprobes_event_field *fields;
	const struct kprobes_event_show *shows;
	/* Print format: byte 1 and the number of a field, from 1, stand for that field. */
	const u8 *line;
	struct kprobes_binding *bindings;
};

/* A registration that is enabled while an event has a listener. */
struct kprobes_binding {
	struct kprobes_event *event;
	struct kprobes_registration *reg;
	/* Enables or disables the registration. */
	int (*arm)(void *const *probes, unsigned int count, bool on);
	/* This binding is counted in reg->users. */
	bool counted;
	struct kprobes_binding *next;
};

static const unsigned long KPROBES_FILE_FLAGS = offsetof(struct trace_event_file, flags);
static const unsigned long KPROBES_FILE_CHECK = EVENT_FILE_FL_TRIGGER_MODE |
	EVENT_FILE_FL_SOFT_DISABLED | EVENT_FILE_FL_PID_FILTER;
static const unsigned long KPROBES_FILE_COND = EVENT_FILE_FL_TRIGGER_COND;
static const int KPROBES_EVENT_FLAGS = TRACE_EVENT_FL_TRACEPOINT;

int kprobes_event_raw_init(struct trace_event_call *call);
int kprobes_event_bind(struct kprobes_binding *binding);
void kprobes_event_unbind(struct kprobes_binding *binding);
void *kprobes_event_perf(struct kprobes_event *event, size_t size, struct pt_regs **regs,
			 int *context);
void kprobes_event_perf_submit(struct kprobes_event *event, void *entry, size_t size,
			       struct pt_regs *regs, int context);
void kprobes_preempt_disable(void);
void kprobes_preempt_enable(void);
